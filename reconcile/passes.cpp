#include "reconcile/passes.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "reconcile/guarded.h"

namespace margay::reconcile {

PassReport Passes::begin() {
  PassReport report;
  report.started = clock_.now();
  for (const Table* table : tables_) report.tables.push_back({.table = table->name()});
  if (hooks_.compute && !guarded("compute", [&] { hooks_.compute(report.started); })) {
    ++report.failed;
  }
  beat();
  report.computing = clock_.now() - report.started;
  return report;
}

void Passes::refresh(PassReport& report, Checks checks) {
  for (std::size_t i = 0; i < tables_.size() && !interrupted(); ++i) {
    const TimePoint start = clock_.now();
    bool listed = false;
    guarded(report.tables[i].table,
            [&] { listed = tables_[i]->refresh(start, checks).has_value(); });
    if (!listed) ++report.tables[i].failed;
    report.tables[i].took += clock_.now() - start;
    beat();
  }
}

std::optional<Phase> Passes::nextPhase(Phase from, PassReport& report) {
  std::optional<Phase> best;
  for (Table* table : tables_) {
    std::optional<Phase> next;
    if (!guarded(table->name(), [&] { next = table->nextPhase(from, removals_); })) ++report.failed;
    if (next && (!best || *next < *best)) best = next;
  }
  return best;
}

void Passes::applyPhases(PassReport& report) {
  auto phase = nextPhase(std::numeric_limits<Phase>::min(), report);
  while (phase) {
    bool full = false;
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      if (interrupted()) return;
      const TimePoint start = clock_.now();
      Progress done;
      const bool ended = guarded(report.tables[i].table,
                                 [&] { done = tables_[i]->apply(*phase, removals_, start); });
      TableReport& table = report.tables[i];
      table.changed += done.changed;
      table.failed += done.failed + (ended ? 0 : 1);
      table.took += clock_.now() - start;
      full = full || done.more;
      report.more = report.more || done.more || done.again;
      beat();
    }
    // What a later phase needs is not all there yet.
    if (full || *phase == std::numeric_limits<Phase>::max()) return;
    phase = nextPhase(*phase + 1, report);
  }
}

void Passes::finish(PassReport& report) {
  for (const TableReport& table : report.tables) {
    report.changed += table.changed;
    report.failed += table.failed;
  }
  report.interrupted = interrupted();
  report.took = clock_.now() - report.started;
}

PassReport Passes::look() {
  PassReport report = begin();
  refresh(report, Checks::Now);
  finish(report);
  return report;
}

PassReport Passes::run(Checks checks) {
  PassReport report = begin();
  refresh(report, checks);
  if (!interrupted()) applyPhases(report);
  finish(report);
  if (hooks_.afterPass) guarded("afterPass", [&] { hooks_.afterPass(report); });
  beat();
  return report;
}

TimePoint Passes::nextDue() const {
  TimePoint due = TimePoint::max();
  for (const Table* table : tables_) due = std::min(due, table->nextDue());
  return due;
}

}  // namespace margay::reconcile
