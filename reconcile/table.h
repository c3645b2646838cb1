#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/change.h"
#include "base/clock.h"
#include "base/result.h"

namespace margay::reconcile {

/// A step of a pass. Steps run in ascending order over all tables; what each means is the wiring's.
using Phase = int;

/// Whether what nobody wants may go. Held until every source has finished its first list.
enum class Removals : bool { Held, Allowed };

/// A change as an operator reads it.
struct PlannedChange {
  Op op = Op::Add;
  std::string text;
  auto operator<=>(const PlannedChange&) const = default;
};

/// Successful changes since the start, for counters.
struct OpCounts {
  std::uint64_t add = 0;
  std::uint64_t replace = 0;
  std::uint64_t remove = 0;
  bool operator==(const OpCounts&) const = default;
  void count(Op op);
  [[nodiscard]] std::uint64_t total() const { return add + replace + remove; }
};

/// By text, then by operation.
void sortByText(std::vector<PlannedChange>& plan);

struct TableError {
  std::string key;  ///< as the table describes the object; empty if it is about the whole table
  Error error;
  TimePoint at{};
  bool operator==(const TableError&) const = default;
};

/// `pending` counts all that differs, `failing` those of them that wait after an error.
struct TableStatus {
  std::string name;
  std::size_t desired = 0;
  std::size_t observed = 0;
  std::size_t pending = 0;
  std::size_t failing = 0;
  bool inDoubt = false;  ///< a list was asked for, or failed, and none has succeeded since
  std::optional<TableError> lastError;  ///< the newest, also when it is over
  std::optional<TimePoint> lastRepair;  ///< when something foreign was last put right
  std::optional<TimePoint> lastList;
  std::uint64_t drift = 0;   ///< repairs since the start
  std::uint64_t errors = 0;  ///< failed lists and changes since the start
  OpCounts changes;

  /// The kernel was read and has what it should have.
  [[nodiscard]] bool converged() const { return pending == 0 && !inDoubt; }
};

struct Progress {
  std::size_t changed = 0;
  std::size_t failed = 0;
  /// The slice was full: later phases must wait for the next pass, which should come at once.
  bool more = false;
  /// A list in the middle of the phase brought work for this pass's phases up to now.
  bool again = false;
};

/// Whether looks at the kernel that are due, and that nothing asked for, are made.
enum class Checks : bool { Later, Now };

/// A kernel table that the loop keeps as desired. It is told what should be, reads what is there,
/// and changes one into the other in the order that the phases give. The loop's thread only.
class Table {
 public:
  Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  virtual ~Table() = default;

  [[nodiscard]] virtual const std::string& name() const = 0;
  /// What is observed is in doubt (a lost notification, a foreign change): the next refresh lists
  /// again.
  virtual void requestRelist() = 0;
  /// Somebody may have changed the table: lists again, but not within `foreignInterval` of such a
  /// list that found our content whole.
  virtual void suspect(TimePoint now) = 0;
  /// Lists when that is asked for, and with `Checks::Now` when it is due. An error is also in the
  /// status and tried again with backoff; the table goes on with what it last observed.
  virtual Result<void> refresh(TimePoint now, Checks checks) = 0;
  /// The lowest phase not below `from` in which `apply` has something to try.
  [[nodiscard]] virtual std::optional<Phase> nextPhase(Phase from, Removals removals) = 0;
  /// Makes the changes of `phase`, at most a slice of them. Does nothing before the first list.
  virtual Progress apply(Phase phase, Removals removals, TimePoint now) = 0;
  /// When the next pass is needed if nothing changes until then.
  [[nodiscard]] virtual TimePoint nextDue() const = 0;
  [[nodiscard]] virtual TableStatus status() const = 0;
  /// What apply would change, sorted, removals included.
  [[nodiscard]] virtual std::vector<PlannedChange> plan() const = 0;
};

}  // namespace margay::reconcile
