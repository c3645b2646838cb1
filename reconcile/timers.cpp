#include "reconcile/timers.h"

#include <algorithm>

namespace margay::reconcile {

Timers::Id Timers::at(TimePoint when, std::function<void()> action) {
  timers_[{when, ++last_}] = {Duration::zero(), std::move(action)};
  return last_;
}

Timers::Id Timers::every(TimePoint first, Duration period, std::function<void()> action) {
  timers_[{first, ++last_}] = {period, std::move(action)};
  return last_;
}

void Timers::cancel(Id id) {
  std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id; });
}

void Timers::runDue(TimePoint now) {
  while (next() <= now) {
    auto node = timers_.extract(timers_.begin());
    const auto action = node.mapped().action;
    if (const Duration period = node.mapped().period; period > Duration::zero()) {
      const auto missed = (now - node.key().first) / period;
      node.key().first += period * (missed + 1);
      timers_.insert(std::move(node));
    }
    action();
  }
}

TimePoint Timers::next() const {
  return timers_.empty() ? TimePoint::max() : timers_.begin()->first.first;
}

}  // namespace margay::reconcile
