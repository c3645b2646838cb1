#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <vector>

namespace margay::agent {

/// Who waits until all that the sources hold is in the kernel: the sources list again behind a
/// barrier, the barrier comes through the mailbox, and then a pass leaves nothing to do. The loop's
/// thread, except `Waiter::done`.
class SettleWaiters {
 public:
  struct Waiter {
    std::uint64_t barrier = 0;
    bool listed = false;
    std::promise<bool> done;  ///< false: the agent ends before
  };

  /// The number of the barrier to list behind.
  std::uint64_t add(const std::shared_ptr<Waiter>& waiter);
  void remove(const std::shared_ptr<Waiter>& waiter) { std::erase(waiters_, waiter); }
  /// What lies before these barriers has been taken.
  void listed(std::span<const std::uint64_t> barriers);
  /// Nothing is left to do: who has listed is done.
  void settled();
  /// The agent ends: nobody waits any longer.
  void abandon();

 private:
  std::vector<std::shared_ptr<Waiter>> waiters_;
  std::uint64_t last_ = 0;
};

}  // namespace margay::agent
