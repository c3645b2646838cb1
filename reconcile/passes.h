#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "reconcile/table.h"

namespace margay::reconcile {

struct TableReport {
  std::string table;
  Duration took{};  ///< listing and changing
  std::size_t changed = 0;
  std::size_t failed = 0;  ///< changes and lists
};

/// What one pass did.
struct PassReport {
  TimePoint started{};
  Duration computing{};             ///< in the compute callback
  Duration took{};                  ///< all of it
  std::vector<TableReport> tables;  ///< in order of registration
  std::size_t changed = 0;
  std::size_t failed = 0;
  bool more = false;         ///< the next pass should come at once
  bool interrupted = false;  ///< stopped in the middle
};

/// One pass after the other over a list of tables: compute what should be, look at what is, then
/// phase by phase in ascending order over all tables, in order of registration. Exceptions of
/// callbacks and tables end in the report. The loop's thread, except where said otherwise.
class Passes {
 public:
  struct Hooks {
    /// Brings the tables' desired state up to date. Before every pass.
    std::function<void(TimePoint now)> compute;
    std::function<void(const PassReport&)> afterPass;
  };

  Passes(const Clock& clock, Hooks hooks) : clock_(clock), hooks_(std::move(hooks)) {}

  /// `table` outlives this.
  void add(Table& table) { tables_.push_back(&table); }
  /// Other tables from the next pass on. Not within a pass; `afterPass` may.
  void setTables(std::vector<Table*> tables) { tables_ = std::move(tables); }
  [[nodiscard]] const std::vector<Table*>& tables() const { return tables_; }

  /// All sources have finished their first list. Once allowed, for ever.
  void allowRemovals() { removals_ = Removals::Allowed; }
  [[nodiscard]] Removals removals() const { return removals_; }

  /// Computes and refreshes, but changes nothing: `plan` of the tables then tells what a pass would
  /// do.
  PassReport look();
  PassReport run(Checks checks = Checks::Now);
  /// When the next pass is needed if nothing changes until then.
  [[nodiscard]] TimePoint nextDue() const;

  /// Makes a pass under way end at the next table, and every later one at once. Any thread, signals
  /// too.
  void interrupt() noexcept { interrupted_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool interrupted() const noexcept {
    return interrupted_.load(std::memory_order_relaxed);
  }
  /// Grows with every step of every table and with `beat`: a loop that hangs stops counting. Any
  /// thread.
  [[nodiscard]] std::uint64_t progress() const noexcept {
    return progress_.load(std::memory_order_relaxed);
  }
  void beat() noexcept { progress_.fetch_add(1, std::memory_order_relaxed); }

 private:
  PassReport begin();
  void refresh(PassReport& report, Checks checks);
  void applyPhases(PassReport& report);
  [[nodiscard]] std::optional<Phase> nextPhase(Phase from, PassReport& report);
  void finish(PassReport& report);

  const Clock& clock_;
  Hooks hooks_;
  std::vector<Table*> tables_;
  Removals removals_ = Removals::Held;
  std::atomic<bool> interrupted_ = false;
  std::atomic<std::uint64_t> progress_ = 0;
  static_assert(std::atomic<bool>::is_always_lock_free);  // for signal handlers
};

}  // namespace margay::reconcile
