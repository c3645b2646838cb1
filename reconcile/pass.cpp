#include "reconcile/pass.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace margay::reconcile {
namespace {

std::optional<Phase> lowestPhase(std::span<Table* const> tables, Phase from, Removals removals) {
  std::optional<Phase> lowest;
  for (auto* table : tables) {
    const auto phase = table->nextPhase(from, removals);
    if (phase && (!lowest || *phase < *lowest)) lowest = phase;
  }
  return lowest;
}

/// Whether a list brought work for phases up to this one.
bool runPhase(std::span<Table* const> tables, Phase phase, Removals removals, TimePoint now, PassReport& report) {
  bool again = false;
  for (auto* table : tables) {
    if (table->nextPhase(phase, removals) != phase) continue;
    const auto progress = table->apply(phase, removals, now);
    report.changed += progress.changed;
    report.failed += progress.failed;
    report.more = report.more || progress.more;
    again = again || progress.again;
  }
  return again;
}

}  // namespace

PassReport runPass(std::span<Table* const> tables, Removals removals, TimePoint now) {
  PassReport report;
  // A failed list is in the table's status, and the table goes on with what it last saw.
  for (auto* table : tables) static_cast<void>(table->refresh(now));
  for (int round = 1; round <= kMaxRounds; ++round) {
    bool again = false;
    auto from = std::numeric_limits<Phase>::min();
    while (const auto phase = lowestPhase(tables, from, removals)) {
      again = runPhase(tables, *phase, removals, now, report);
      if (report.more) return report;
      if (again || *phase == std::numeric_limits<Phase>::max()) break;
      from = *phase + 1;
    }
    if (!again) return report;
  }
  report.more = true;
  return report;
}

TimePoint nextDue(std::span<Table* const> tables) {
  auto due = TimePoint::max();
  for (const auto* table : tables) due = std::min(due, table->nextDue());
  return due;
}

std::size_t workLeft(std::span<Table* const> tables) {
  std::size_t left = 0;
  for (const auto* table : tables) {
    const auto status = table->status();
    left += status.pending - std::min(status.pending, status.failing);
  }
  return left;
}

}  // namespace margay::reconcile
