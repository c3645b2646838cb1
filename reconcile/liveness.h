#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace margay::reconcile {

/// Tells a loop that waits from one that hangs, by a number that grows while it lives. Any thread.
class Liveness {
 public:
  static constexpr Duration kHangs = std::chrono::seconds(30);

  /// `progress` as it is at `now`: false if it has not moved for `kHangs`, as far as the calls saw.
  [[nodiscard]] bool alive(std::uint64_t progress, TimePoint now);

 private:
  std::mutex mutex_;
  std::uint64_t seen_ = 0;
  TimePoint at_{};
};

}  // namespace margay::reconcile
