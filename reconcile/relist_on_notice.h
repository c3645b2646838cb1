#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "reconcile/table.h"
#include "reconcile/timers.h"

namespace margay::reconcile {

/// The kernel tells that a table changed, also when the change was ours. A notice after changes of
/// ours needs no list at once; a foreign change that hides among them is found `echoWait` later.
/// The loop's thread only.
class RelistOnNotice {
 public:
  static constexpr Duration kEchoWait = std::chrono::milliseconds(250);

  /// `wake` asks for a pass. All outlive this.
  RelistOnNotice(Table& table, Timers& timers, std::function<void()> wake,
                 Duration echoWait = kEchoWait);
  RelistOnNotice(const RelistOnNotice&) = delete;
  RelistOnNotice& operator=(const RelistOnNotice&) = delete;

  /// The kernel told of a change.
  void noticed(TimePoint now);

 private:
  Table& table_;
  Timers& timers_;
  std::function<void()> wake_;
  Duration echoWait_;
  std::uint64_t changes_ = 0;  // of ours, when the kernel last told of any
  bool scheduled_ = false;
};

}  // namespace margay::reconcile
