#pragma once

#include <cstddef>
#include <span>

#include "base/clock.h"
#include "reconcile/table.h"

namespace margay::reconcile {

struct PassReport {
  std::size_t changed = 0;
  std::size_t failed = 0;
  /// A slice was full: the next pass should come at once.
  bool more = false;
};

/// One pass: every table is refreshed, then phases run in ascending order, each over all tables in their
/// order. When a phase lists anew and finds work for phases that are over, they run again, at most
/// kMaxRounds times; what is left then is for the next pass. Never throws on account of a table.
inline constexpr int kMaxRounds = 4;
[[nodiscard]] PassReport runPass(std::span<Table* const> tables, Removals removals, TimePoint now);

/// When the first of the tables wants a pass.
[[nodiscard]] TimePoint nextDue(std::span<Table* const> tables);

/// Changes that differ and do not wait after an error: what another pass could still do.
[[nodiscard]] std::size_t workLeft(std::span<Table* const> tables);

}  // namespace margay::reconcile
