#include "cmd/agent/settle_waiters.h"

#include <algorithm>

namespace margay::agent {

std::uint64_t SettleWaiters::add(const std::shared_ptr<Waiter>& waiter) {
  waiter->barrier = ++last_;
  waiters_.push_back(waiter);
  return waiter->barrier;
}

void SettleWaiters::listed(std::span<const std::uint64_t> barriers) {
  for (auto& waiter : waiters_)
    waiter->listed = waiter->listed ||
                     std::find(barriers.begin(), barriers.end(), waiter->barrier) != barriers.end();
}

void SettleWaiters::settled() {
  for (auto& waiter : waiters_) {
    if (waiter->listed) waiter->done.set_value(true);
  }
  std::erase_if(waiters_, [](const auto& waiter) { return waiter->listed; });
}

void SettleWaiters::abandon() {
  for (auto& waiter : waiters_) waiter->done.set_value(false);
  waiters_.clear();
}

}  // namespace margay::agent
