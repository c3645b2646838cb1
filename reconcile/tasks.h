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

  /// Any thread.
  void post(std::function<void()> task);
  /// Any thread but the loop's: what `question` returns there. No value if the loop does not come
  /// to it in time.
  template <class Answer>
  std::optional<Answer> ask(std::function<Answer()> question, std::chrono::milliseconds timeout) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto answer = promise->get_future();
    post([promise, question = std::move(question)] { promise->set_value(question()); });
    if (answer.wait_for(timeout) != std::future_status::ready) return std::nullopt;
    return answer.get();
  }

  /// Runs what was posted before the call, in order. The loop's thread.
  void run();

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
};

}  // namespace margay::reconcile
