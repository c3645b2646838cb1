#include "reconcile/loop.h"

#include <algorithm>
#include <utility>

#include "reconcile/guarded.h"

namespace margay::reconcile {

Loop::Loop(const Clock& clock, LoopOptions options, Passes::Hooks hooks)
    : clock_(clock), options_(options), passes_(clock, std::move(hooks)) {}

Result<void> Loop::watch(int fd, std::function<void()> onReadable) {
  return poller_.watch(
      fd, [call = std::move(onReadable)] { guarded("descriptor callback", [&] { call(); }); });
}

void Loop::allowRemovals() {
  if (passes_.removals() == Removals::Allowed) return;
  passes_.allowRemovals();
  poke();
}

void Loop::poke() noexcept {
  // Only the first poke since the last pass needs to wake anybody.
  if (!poked_.exchange(true)) poller_.wake();
}

void Loop::stop() noexcept {
  passes_.interrupt();
  poller_.wake();
}

bool Loop::passDue(TimePoint now) const {
  return passes_.nextDue() <= now && now - lastPass_ >= options_.minInterval;
}

TimePoint Loop::turn() {
  TimePoint now = clock_.now();
  guarded("timer", [&] { timers_.runDue(now); });
  if (!stopped() && (poked_.load() || passDue(now))) {
    const bool asked = poked_.exchange(false);
    const bool patient = asked && now - passes_.nextDue() < options_.checkPatience;
    const PassReport report = passes_.run(patient ? Checks::Later : Checks::Now);
    if (report.more) poked_.store(true);
    now = lastPass_ = clock_.now();
  }
  passes_.beat();
  if (poked_.load()) return now;
  const TimePoint pass = std::max(passes_.nextDue(), lastPass_ + options_.minInterval);
  return std::min({now + options_.heartbeat, timers_.next(), pass});
}

Result<void> Loop::run() {
  if (!poller_.status()) return poller_.status();
  while (!stopped()) {
    const TimePoint next = turn();
    if (stopped()) break;
    poller_.wait(next - clock_.now());
  }
  return {};
}

bool Loop::converged() const {
  const auto& all = tables();
  return std::all_of(all.begin(), all.end(),
                     [](const Table* table) { return table->status().converged(); });
}

OnceSummary Loop::summary(const std::vector<OpCounts>& before, std::size_t passes) const {
  OnceSummary out{.converged = converged(), .passes = passes, .tables = {}};
  for (std::size_t i = 0; i < tables().size(); ++i) {
    TableStatus status = tables()[i]->status();
    OnceTable table{.table = status.name, .changes = status.changes, .pending = status.pending};
    table.changes.add -= before[i].add;
    table.changes.replace -= before[i].replace;
    table.changes.remove -= before[i].remove;
    if (!status.converged()) table.error = std::move(status.lastError);
    out.tables.push_back(std::move(table));
  }
  return out;
}

OnceSummary Loop::runOnce() {
  std::vector<OpCounts> before;
  for (const Table* table : tables()) before.push_back(table->status().changes);
  std::size_t passes = 0;
  TimePoint giveUp = clock_.now() + options_.oncePatience;
  while (!stopped()) {
    const PassReport report = passes_.run();
    ++passes;
    if (report.more) continue;
    if (converged()) break;
    const TimePoint now = clock_.now();
    if (report.changed != 0) giveUp = now + options_.oncePatience;
    const TimePoint next = std::max(passes_.nextDue(), now + options_.minInterval);
    if (next > giveUp || !poller_.status()) break;
    poller_.wait(next - now);
  }
  return summary(before, passes);
}

}  // namespace margay::reconcile
