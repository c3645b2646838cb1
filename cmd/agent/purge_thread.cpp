#include "cmd/agent/purge_thread.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace margay::agent {

PurgeThread::PurgeThread(dataplane::ConntrackDriver& driver)
    : driver_(driver), ended_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MGY_CHECK(ended_ >= 0);
}

PurgeThread::~PurgeThread() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  ::close(ended_);
}

void PurgeThread::readEnded() const {
  eventfd_t count = 0;
  eventfd_read(ended_, &count);
}

void PurgeThread::start(std::vector<Address> batch) {
  MGY_CHECK(!busy_);
  busy_ = true;
  {
    const std::scoped_lock lock(mutex_);
    batch_ = std::move(batch);
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

bool PurgeThread::done() const {
  const std::scoped_lock lock(mutex_);
  return outcome_.has_value();
}

Result<std::size_t> PurgeThread::take() {
  MGY_CHECK(busy_);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return outcome_.has_value(); });
  busy_ = false;
  auto out = std::move(*outcome_);
  outcome_.reset();
  return out;
}

/// The thread's. As a batch thread it does not take the loop's processor when it is woken: the
/// kernel's walk over all flows would keep the pass that asked for it waiting.
void PurgeThread::run() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return batch_ || stop_; });
    if (!batch_) return;
    const auto batch = std::move(*batch_);
    batch_.reset();
    lock.unlock();
    auto deleted = driver_.deleteFlows(batch);
    lock.lock();
    outcome_ = std::move(deleted);
    changed_.notify_all();
    eventfd_write(ended_, 1);
  }
}

}  // namespace margay::agent
