#pragma once

#include "base/clock.h"

namespace margay::testing {

/// Time that moves when the test says so. Starts an hour after the epoch of the steady clock.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  void advance(Duration by) { now_ += by; }
  /// Never backwards.
  void advanceTo(TimePoint time) {
    if (time > now_) now_ = time;
  }

 private:
  TimePoint now_ = TimePoint{} + std::chrono::hours(1);
};

}  // namespace margay::testing
