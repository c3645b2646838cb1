#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"

namespace margay::reconcile {

/// Callbacks at times. Pure: it is told the time. One thread.
class Timers {
 public:
  using Id = std::uint64_t;

  /// Calls `action` once, when `runDue` is called at `when` or later.
  Id at(TimePoint when, std::function<void()> action);
  /// Calls `action` at `first` and then every `period` (above zero); missed times are left out.
  Id every(TimePoint first, Duration period, std::function<void()> action);
  /// An id that is over is ignored. May be called from an action.
  void cancel(Id id);
  /// In order of time. Exceptions go to the caller; the timer that threw counts as done.
  void runDue(TimePoint now);
  /// TimePoint::max() if there is none.
  [[nodiscard]] TimePoint next() const;

 private:
  struct Timer {
    Duration period{};  // zero: once
    std::function<void()> action;
  };
  std::map<std::pair<TimePoint, Id>, Timer> timers_;
  Id last_ = 0;
};

}  // namespace margay::reconcile
