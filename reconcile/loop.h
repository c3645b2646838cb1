#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "reconcile/passes.h"
#include "reconcile/poller.h"
#include "reconcile/table.h"
#include "reconcile/timers.h"

namespace margay::reconcile {

struct LoopOptions {
  /// The loop turns at least so often, so that `progress` tells a quiet loop from one that hangs.
  Duration heartbeat = std::chrono::seconds(1);
  /// Between passes that only time asked for.
  Duration minInterval = std::chrono::milliseconds(5);
  /// A pass that somebody waits for leaves checks that are due to the next one, but not for longer
  /// than this.
  Duration checkPatience = std::chrono::milliseconds(250);
  /// How long `runOnce` goes on trying what fails.
  Duration oncePatience = std::chrono::seconds(5);
};

/// What `runOnce` did, summed over its passes.
struct OnceTable {
  std::string table;
  OpCounts changes;
  std::size_t pending = 0;          ///< left over
  std::optional<TableError> error;  ///< the newest, if the table has not converged
};
struct OnceSummary {
  bool converged = false;
  std::size_t passes = 0;
  std::vector<OnceTable> tables;  ///< in order of registration
};

/// The thread that owns the tables: waits for descriptors, timers and pokes, and runs passes. It
/// ends only when it is stopped; exceptions of callbacks go to the log. All functions belong to the
/// thread that calls `run`, except `poke`, `stop` and `progress`.
class Loop {
 public:
  Loop(const Clock& clock, LoopOptions options, Passes::Hooks hooks);

  /// `table` outlives the loop.
  void add(Table& table) { passes_.add(table); }
  /// Other tables from the next pass on. Not within a pass (`afterPass` may), nor within
  /// runOnce.
  void setTables(std::vector<Table*> tables) { passes_.setTables(std::move(tables)); }
  [[nodiscard]] TimePoint now() const { return clock_.now(); }
  [[nodiscard]] const std::vector<Table*>& tables() const { return passes_.tables(); }
  /// Calls `onReadable` while `fd` is readable; it should read, note what changed and poke.
  Result<void> watch(int fd, std::function<void()> onReadable);
  void unwatch(int fd) { poller_.unwatch(fd); }
  [[nodiscard]] Timers& timers() { return timers_; }

  /// All sources have finished their first list: what nobody wants may go, from the next pass on.
  void allowRemovals();
  [[nodiscard]] Removals removals() const { return passes_.removals(); }

  /// The desired state may have changed: run a pass soon. Any thread, and signal handlers.
  void poke() noexcept;
  /// Ends `run` and `runOnce` after the table at work (a slice of it). Any thread, and signal
  /// handlers.
  void stop() noexcept;
  [[nodiscard]] bool stopped() const noexcept { return passes_.interrupted(); }
  /// Grows at least every `heartbeat` while the loop is alive. Any thread.
  [[nodiscard]] std::uint64_t progress() const noexcept { return passes_.progress(); }

  /// Runs until `stop`. Fails only if the descriptors that it waits with cannot be made.
  Result<void> run();
  /// What `run` does between two waits: timers that are due, then a pass if one is wanted or due.
  /// Returns when it must be called again at the latest.
  TimePoint turn();
  /// Passes until nothing is pending, or nothing but failures for `oncePatience`. No descriptor is
  /// served.
  OnceSummary runOnce();
  /// Looks at everything and changes nothing; `plan()` of the tables then tells what a pass would
  /// do.
  PassReport look() { return passes_.look(); }

 private:
  [[nodiscard]] bool passDue(TimePoint now) const;
  [[nodiscard]] OnceSummary summary(const std::vector<OpCounts>& before, std::size_t passes) const;
  [[nodiscard]] bool converged() const;

  const Clock& clock_;
  LoopOptions options_;
  Passes passes_;
  Poller poller_;
  Timers timers_;
  std::atomic<bool> poked_ = true;  // the first pass comes unasked
  TimePoint lastPass_{};
};

}  // namespace margay::reconcile
