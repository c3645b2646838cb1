#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace margay::reconcile {

/// Work that other threads hand to the loop's thread.
class Tasks {
 public:
  /// `wake` asks for a pass; called on the thread that posts.
  explicit Tasks(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// Any thread. False, and the task is dropped, if the loop has ended.
  bool post(std::function<void()> task);
  /// Any thread but the loop's: what `question` returns there. No value if the loop has ended or
  /// does not come to it in time.
  template <class Answer>
  std::optional<Answer> ask(std::function<Answer()> question, std::chrono::milliseconds timeout) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto answer = promise->get_future();
    if (!post([promise, question = std::move(question)] { promise->set_value(question()); }))
      return std::nullopt;
    if (answer.wait_for(timeout) != std::future_status::ready) return std::nullopt;
    return answer.get();
  }

  /// Runs what was posted before the call, in order. The loop's thread.
  void run();
  /// The loop has ended: runs what is left, so that nobody waits for it, and takes no more. The
  /// loop's thread.
  void close();

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  bool closed_ = false;
};

}  // namespace margay::reconcile
