#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/clock.h"
#include "base/result.h"

namespace margay::reconcile {

/// Waits for file descriptors, a time, or to be woken. The loop's thread, except `wake`.
class Poller {
 public:
  /// Errors are kept for `status`.
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Whether the descriptors of its own could be made.
  [[nodiscard]] const Result<void>& status() const { return status_; }
  /// `onReadable` is called from `wait` while `fd` is readable (level-triggered). The caller keeps
  /// the descriptor and takes it out with `unwatch` before it closes it.
  Result<void> watch(int fd, std::function<void()> onReadable);
  void unwatch(int fd);
  /// Waits at most `timeout`, then calls what is readable.
  /// Returns whether it was woken or called something.
  bool wait(Duration timeout);
  /// Ends the current `wait`, or the next one. Any thread, and signal handlers.
  void wake() noexcept;

 private:
  Result<void> open();
  Result<void> control(int operation, int fd);

  int epoll_ = -1;
  int timer_ = -1;
  int wake_ = -1;
  Result<void> status_;
  std::map<int, std::shared_ptr<const std::function<void()>>> watched_;
};

}  // namespace margay::reconcile
