#include "api/store/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/result.h"

namespace margay::api {
namespace {

void signal(int fd) {
  const std::uint64_t one = 1;
  // Only a full counter can refuse, and then the descriptor is readable anyway.
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

}  // namespace

Mailbox::Mailbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MGY_CHECK(fd_ >= 0);
}

Mailbox::~Mailbox() {
  ::close(fd_);
}

void Mailbox::post(const std::string& source, SourceState state, std::vector<Update> updates) {
  const std::lock_guard lock(mutex_);
  if (!firstArrival_) firstArrival_ = std::chrono::steady_clock::now();
  states_.insert_or_assign(source, std::move(state));
  if (updates_.empty() && index_.empty()) updates_.reserve(updates.size());
  for (Update& update : updates) {
    const auto [at, added] = index_.try_emplace(update.key, updates_.size());
    if (added) {
      updates_.push_back(std::move(update));
    } else {
      updates_[at->second].value = std::move(update.value);
    }
  }
  signal(fd_);
}

void Mailbox::postBarrier(std::uint64_t barrier) {
  const std::lock_guard lock(mutex_);
  if (!firstArrival_) firstArrival_ = std::chrono::steady_clock::now();
  barriers_.push_back(barrier);
  signal(fd_);
}

Mailbox::Batch Mailbox::take() {
  Batch batch;
  std::unordered_map<ObjectKey, std::size_t> index;  // freed after the lock
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto drained = ::read(fd_, &count, sizeof count);
  batch.updates = std::exchange(updates_, {});
  batch.states = std::exchange(states_, {});
  batch.barriers = std::exchange(barriers_, {});
  batch.firstArrival = std::exchange(firstArrival_, std::nullopt);
  index = std::exchange(index_, {});
  return batch;
}

}  // namespace margay::api
