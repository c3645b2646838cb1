#include "reconcile/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace margay::reconcile {
namespace {

constexpr int kEventsAtOnce = 32;
constexpr Duration kLongest = std::chrono::hours(24);

void drain(int fd) {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof count) == static_cast<ssize_t>(sizeof count)) continue;
}

}  // namespace

Poller::Poller() : status_(open()) {}

Poller::~Poller() {
  for (const int fd : {epoll_, timer_, wake_}) {
    if (fd >= 0) ::close(fd);
  }
}

Result<void> Poller::open() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return Fail(systemError(errno, "epoll_create1"));
  timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer_ < 0) return Fail(systemError(errno, "timerfd_create"));
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return Fail(systemError(errno, "eventfd"));
  if (auto added = control(EPOLL_CTL_ADD, timer_); !added) return added;
  return control(EPOLL_CTL_ADD, wake_);
}

Result<void> Poller::control(int operation, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_, operation, fd, &event) == 0) return {};
  return Fail(systemError(errno, "epoll_ctl of descriptor " + std::to_string(fd)));
}

Result<void> Poller::watch(int fd, std::function<void()> onReadable) {
  const int operation = watched_.count(fd) == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (auto added = control(operation, fd); !added) return added;
  watched_[fd] = std::make_shared<const std::function<void()>>(std::move(onReadable));
  return {};
}

void Poller::unwatch(int fd) {
  if (watched_.erase(fd) == 0) return;
  (void)control(EPOLL_CTL_DEL, fd).has_value();  // fails only for one that was closed too early
}

bool Poller::wait(Duration timeout) {
  using std::chrono::nanoseconds;
  itimerspec at{};
  const auto left = std::clamp(timeout, Duration::zero(), kLongest);
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
  at.it_value.tv_sec = whole.count();
  at.it_value.tv_nsec = std::chrono::duration_cast<nanoseconds>(left - whole).count();
  drain(timer_);
  const bool blocking = left > Duration::zero();
  if (blocking && ::timerfd_settime(timer_, 0, &at, nullptr) != 0) return false;
  std::array<epoll_event, kEventsAtOnce> events{};
  const int count = ::epoll_wait(epoll_, events.data(), kEventsAtOnce, blocking ? -1 : 0);
  bool active = false;
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == timer_) continue;
    active = true;
    if (fd == wake_) {
      drain(wake_);
      continue;
    }
    const auto found = watched_.find(fd);  // an earlier callback may have taken it out
    if (found == watched_.end()) continue;
    const auto callback = found->second;
    (*callback)();
  }
  return active;
}

void Poller::wake() noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  // Fails only when the counter is full: then it is readable all the same.
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  errno = saved;
}

}  // namespace margay::reconcile
