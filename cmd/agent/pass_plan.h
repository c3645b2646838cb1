#pragma once

#include <optional>

#include "base/clock.h"

namespace margay::agent {

/// What the next pass is for. Addresses that moved are given to their new interface a pass after
/// they left the old one; groups that nobody needs go in a pass of their own, once the pass that
/// moved their members away is in the kernel. Pure: it is told the time. The loop's thread.
class PassPlan {
 public:
  enum class Work { Flush, Collect };
  /// What the pass that begins computes.
  [[nodiscard]] Work begin();
  /// It computed; `moved`: something has left an interface and waits for its next.
  enum class Moved : bool { No, Yes };
  void computed(Moved moved) { moved_ = moved; }

  /// When to run the next pass that nothing else asks for.
  struct Next {
    bool atOnce = false;
    std::optional<TimePoint> at;  ///< call `collectDue` then
  };
  /// A pass is over with `left` changes still to make; `nextCollect`: when a group may go.
  [[nodiscard]] Next ended(std::size_t left, std::optional<TimePoint> nextCollect, TimePoint now);
  /// The time of `Next::at` has come: the next pass collects.
  void collectDue();

  /// Something that was asked for waits for the next pass.
  [[nodiscard]] bool moving() const { return moved_ == Moved::Yes; }
  /// Passes of its own follow without any event.
  [[nodiscard]] bool more() const { return moved_ == Moved::Yes || collecting_; }

 private:
  Moved moved_ = Moved::No;
  bool collecting_ = false;  // the next pass does
  bool scheduled_ = false;
};

}  // namespace margay::agent
