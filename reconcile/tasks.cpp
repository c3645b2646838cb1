#include "reconcile/tasks.h"

namespace margay::reconcile {

bool Tasks::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
  }
  wake_();
  return true;
}

void Tasks::run() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
}

void Tasks::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  run();
}

}  // namespace margay::reconcile
