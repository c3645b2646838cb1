#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace margay::reconcile {

/// Waits for file descriptors, tasks of other threads, and a point in time; runs one pass whenever any of
/// them says so. Everything runs on the thread that calls `run`, except where a function says otherwise.
class EventLoop {
 public:
  /// `pass` is run once at the start, and then whenever something asked for it. It returns when it wants to
  /// run next if nothing happens before.
  EventLoop(const Clock& clock, std::function<TimePoint()> pass);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// `onReadable` runs when `fd` is readable; a pass follows.
  void watch(int fd, std::function<void()> onReadable);
  /// Any thread: runs `task` on the loop's thread; a pass follows. After the loop has ended, tasks are
  /// dropped, with whatever promise they hold.
  void post(std::function<void()> task);
  /// Any thread: the loop ends after what it is doing.
  void stop();
  void run();

  /// Any thread: passes and waits so far; it grows at least every kHeartbeat while the loop is alive.
  [[nodiscard]] std::uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }

 private:
  void waitUntil(TimePoint due);
  void runTasks();

  const Clock& clock_;
  std::function<TimePoint()> pass_;
  int epoll_ = -1;
  int wake_ = -1;
  std::map<int, std::function<void()>> watched_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> progress_ = 0;
};

inline constexpr std::chrono::seconds kHeartbeat{5};

}  // namespace margay::reconcile
