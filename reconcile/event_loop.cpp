#include "reconcile/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/log.h"
#include "base/result.h"

namespace margay::reconcile {
namespace {

void addTo(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  MGY_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

}  // namespace

EventLoop::EventLoop(const Clock& clock, std::function<TimePoint()> pass)
    : clock_(clock), pass_(std::move(pass)), epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MGY_CHECK(epoll_ >= 0 && wake_ >= 0);
  addTo(epoll_, wake_);
}

EventLoop::~EventLoop() {
  close(wake_);
  close(epoll_);
}

void EventLoop::watch(int fd, std::function<void()> onReadable) {
  watched_[fd] = std::move(onReadable);
  addTo(epoll_, fd);
}

void EventLoop::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  MGY_CHECK(write(wake_, &one, sizeof one) == sizeof one);
}

void EventLoop::stop() {
  stop_ = true;
  const std::uint64_t one = 1;
  MGY_CHECK(write(wake_, &one, sizeof one) == sizeof one);
}

void EventLoop::run() {
  while (!stop_) {
    auto due = clock_.now();
    try {
      due = pass_();
    } catch (const std::exception& error) {
      log::error("a pass ended with an exception, please report", {{"what", error.what()}});
      due += std::chrono::seconds(1);
    }
    ++progress_;
    if (!stop_) waitUntil(due);
  }
  const std::lock_guard lock(mutex_);
  tasks_.clear();
}

void EventLoop::waitUntil(TimePoint due) {
  std::array<epoll_event, 16> events{};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(due - clock_.now(), kHeartbeat)).count();
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(std::max<long>(left, 0)));
    ++progress_;
    if (count == 0 && clock_.now() < due) continue;
    if (count < 0 && errno == EINTR) continue;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == wake_) {
        runTasks();
      } else {
        watched_.at(fd)();
      }
    }
    return;
  }
}

void EventLoop::runTasks() {
  std::uint64_t count = 0;
  static_cast<void>(read(wake_, &count, sizeof count));  // empty when another wake-up was faster
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
}

}  // namespace margay::reconcile
