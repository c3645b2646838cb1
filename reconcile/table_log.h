#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/change.h"
#include "base/clock.h"
#include "base/result.h"
#include "reconcile/audit_schedule.h"
#include "reconcile/backoff.h"
#include "reconcile/table.h"

namespace margay::reconcile {

struct TableOptions {
  std::size_t slice = 50'000;     ///< changes an `apply` tries at most, so that a pass is bounded
  unsigned immediateRetries = 3;  ///< lists after Stale or Interrupted within one apply or refresh
  BackoffOptions backoff;
  AuditOptions audit;
};

/// What a table does about a failed change.
enum class Reaction {
  Done,    ///< removing what is gone
  Retry,   ///< with backoff
  Relist,  ///< list, then try again at once
  Wait,    ///< for new input or the next list
};
[[nodiscard]] Reaction reactionTo(const Error& error, Op op);

/// The history of a table: counters, last error, last repair; says in the log what an operator
/// should know. One thread.
class TableLog {
 public:
  explicit TableLog(std::string table);

  void changed(Op op) { changes_.count(op); }
  void repaired(TimePoint now);
  void failed(std::string key, const Error& error, TimePoint now);
  void listed(TimePoint now) { lastList_ = now; }
  /// After a pass's work: logs what failed if it is another failure than the last time.
  void endStep(std::size_t failures);

  [[nodiscard]] bool everListed() const { return lastList_.has_value(); }
  [[nodiscard]] const std::string& table() const { return table_; }
  /// A status with the history filled in; the counts are the caller's.
  [[nodiscard]] TableStatus status() const;

 private:
  std::string table_;
  OpCounts changes_;
  std::optional<TableError> lastError_;
  std::optional<TimePoint> lastRepair_;
  std::optional<TimePoint> lastList_;
  std::uint64_t drift_ = 0;
  std::uint64_t errors_ = 0;
  std::string logged_;  // the failure that was logged last
};

}  // namespace margay::reconcile
