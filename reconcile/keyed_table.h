#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "reconcile/audit_schedule.h"
#include "reconcile/backoff.h"
#include "reconcile/delta_tracker.h"
#include "reconcile/table.h"
#include "reconcile/table_log.h"

namespace margay::reconcile {

/// One change of a keyed object: the desired value of an Add or Replace, the observed one of a
/// Remove. Neither pointer is null; both are valid during the call that gets them.
template <class Key, class Value>
struct KeyedChange {
  Op op = Op::Add;
  const Key* key = nullptr;
  const Value* value = nullptr;
};

/// For drivers whose values hold their key.
template <class Key, class Value>
[[nodiscard]] std::vector<Change<Value>> valueChanges(
    std::span<const KeyedChange<Key, Value>> changes) {
  std::vector<Change<Value>> out;
  out.reserve(changes.size());
  for (const auto& change : changes) out.push_back({change.op, *change.value});
  return out;
}

/// The kernel table behind a KeyedTable, as functions of the wiring. They must not call the table.
template <class Key, class Value>
struct KeyedDriver {
  std::function<Result<std::map<Key, Value>>()> list;
  /// Goes through all changes in order; result i is for change i. Gets the changes of one phase.
  std::function<std::vector<Result<void>>(std::span<const KeyedChange<Key, Value>>)> apply;
  std::function<Phase(Op, const Key&, const Value&)> phaseOf;
  std::function<std::string(const Key&, const Value&)> describe;
  /// Optional: cheap, differs whenever the content was changed by anybody.
  std::function<Result<Fingerprint>()> fingerprint = nullptr;
  /// Optional: after each successful change.
  std::function<void(Op, const Key&, const Value&)> onApplied = nullptr;
};

/// A kernel table of keys and values.
///
/// After an error: Transient (and whatever else may pass) waits with backoff for its key alone;
/// Stale and Interrupted list and try again at once, `immediateRetries` times; Invalid and
/// Unsupported wait for another desired value or the next list. What a list finds other than we
/// left it is drift, and its repair is counted.
template <class Key, class Value, class Hash = std::hash<Key>, class Matches = std::equal_to<Value>>
class KeyedTable final : public Table {
 public:
  KeyedTable(std::string name, KeyedDriver<Key, Value> driver, TableOptions options, Jitter& jitter)
      : driver_(std::move(driver)),
        options_(options),
        log_(std::move(name)),
        audit_(options.audit, options.backoff, jitter),
        backoff_(options.backoff, jitter) {}

  /// O(1) each. They return whether that is new.
  bool setDesired(const Key& key, Value value) {
    return input(tracker_.setDesired(key, std::move(value)), key);
  }
  bool removeDesired(const Key& key) { return input(tracker_.removeDesired(key), key); }
  /// Everything that should be: pairs of key and value. O(all + tracked).
  template <class Range>
  void replaceDesired(const Range& all) {
    tracker_.replaceDesired(all);
    planned_ = false;
  }

  /// One key was read outside of a list, which must have been made before: what is there is not as
  /// we left it if it differs from what was there last. O(1).
  void observe(const Key& key, Value value) {
    if (!log_.everListed() || !tracker_.setObserved(key, std::move(value))) return;
    planned_ = false;
    if (const auto slot = tracker_.find(key)) observedChanged(*slot);
  }

  [[nodiscard]] const DeltaTracker<Key, Value, Hash, Matches>& tracker() const { return tracker_; }

  [[nodiscard]] const std::string& name() const override { return log_.table(); }
  void requestRelist() override { audit_.request(); }
  void suspect(TimePoint now) override { audit_.suspect(now); }

  Result<void> refresh(TimePoint now, Checks checks) override {
    for (const Key& key : backoff_.takeDue(now)) wake(key);
    if (checks == Checks::Later && !audit_.inDoubt()) return {};
    if (!audit_.listDue(now) && audit_.checkDue(now)) check(now);
    return audit_.listDue(now) ? relist(now, Unblock::Yes) : Result<void>();
  }

  [[nodiscard]] std::optional<Phase> nextPhase(Phase from, Removals removals) override {
    if (!log_.everListed()) return std::nullopt;
    sortByPhase();
    for (auto step = steps_.lower_bound(from); step != steps_.end(); ++step) {
      const auto& slots = step->second;
      const auto may = [&](Slot slot) { return allowed(slot, removals); };
      if (std::any_of(slots.begin(), slots.end(), may)) return step->first;
    }
    return std::nullopt;
  }

  Progress apply(Phase phase, Removals removals, TimePoint now) override {
    Progress progress;
    if (nextPhase(phase, removals) != phase) return progress;
    // Somebody may have changed the table since the last list: what we expect of the fingerprint
    // after our own changes must not hide that.
    check(now);
    if (audit_.listDue(now)) listAgain(phase, removals, now, progress);
    for (unsigned attempt = 1;; ++attempt) {
      const bool last = attempt > options_.immediateRetries;
      const bool stale = applyStep(phase, removals, now, last, progress);
      if (!stale || last || progress.more) break;
      if (!listAgain(phase, removals, now, progress)) break;
    }
    expectFingerprint();
    log_.endStep(progress.failed);
    return progress;
  }

  [[nodiscard]] TimePoint nextDue() const override {
    using Fingerprints = AuditSchedule::Checks;
    return std::min(audit_.nextDue(driver_.fingerprint ? Fingerprints::Yes : Fingerprints::No),
                    backoff_.next());
  }

  [[nodiscard]] TableStatus status() const override {
    TableStatus out = log_.status();
    out.desired = tracker_.desiredCount();
    out.observed = tracker_.observedCount();
    out.pending = tracker_.pendingCount();
    out.failing = tracker_.parkedCount();
    out.inDoubt = audit_.inDoubt();
    return out;
  }

  [[nodiscard]] std::vector<PlannedChange> plan() const override {
    std::vector<PlannedChange> out;
    out.reserve(tracker_.pendingCount());
    tracker_.forEachPending([&](Slot slot) {
      out.push_back({*tracker_.op(slot), describe(slot)});
    });
    sortByText(out);
    return out;
  }

 private:
  using Tracker = DeltaTracker<Key, Value, Hash, Matches>;
  using Slot = typename Tracker::Slot;
  enum class Unblock : bool { No, Yes };
  // Marks of a key; they end when it does not differ any more.
  static constexpr std::uint8_t kDrifted = 1;  // not as we left it
  static constexpr std::uint8_t kDoubtful =
      2;  // our last change of it failed: no telling what is there
  static constexpr std::uint8_t kBlocked = 4;  // parked without a time

  bool input(bool changed, const Key& key) {
    if (!changed) return false;
    planned_ = false;
    if (backoff_.size() != 0) backoff_.clear(key);
    return true;
  }

  void wake(const Key& key) {
    const auto slot = tracker_.find(key);
    if (!slot || !tracker_.op(*slot)) {
      backoff_.clear(key);
      return;
    }
    tracker_.unpark(*slot);
    planned_ = false;
  }

  /// The value that the next change of `slot` is about.
  [[nodiscard]] const Value& subject(Slot slot) const {
    return tracker_.isDesired(slot) ? tracker_.desired(slot) : tracker_.observed(slot);
  }
  [[nodiscard]] std::string describe(Slot slot) const {
    return driver_.describe(tracker_.key(slot), subject(slot));
  }
  [[nodiscard]] bool allowed(Slot slot, Removals removals) const {
    return removals == Removals::Allowed || tracker_.op(slot) != Op::Remove;
  }
  void mark(Slot slot, std::uint8_t bits) {
    tracker_.setMarks(slot, static_cast<std::uint8_t>(tracker_.marks(slot) | bits));
  }
  void unmark(Slot slot, std::uint8_t bits) {
    tracker_.setMarks(slot, static_cast<std::uint8_t>(tracker_.marks(slot) & ~bits));
  }
  [[nodiscard]] bool marked(Slot slot, std::uint8_t bit) const {
    return (tracker_.marks(slot) & bit) != 0;
  }

  void check(TimePoint now) {
    if (!driver_.fingerprint) return;
    if (const auto seen = driver_.fingerprint()) {
      audit_.checked(*seen, now);
    } else {
      log_.failed({}, seen.error(), now);
      audit_.checkAgain(now);
    }
  }
  void expectFingerprint() {
    if (!driver_.fingerprint) return;
    const auto seen = driver_.fingerprint();
    audit_.expect(seen ? std::optional(*seen) : std::nullopt);
  }

  /// Returns whether what is there is as we left it.
  bool observedChanged(Slot slot) {
    const bool ours = marked(slot, kDoubtful) || !log_.everListed();
    unmark(slot, kDoubtful);
    if (ours || !tracker_.op(slot)) return true;
    mark(slot, kDrifted);
    return false;
  }

  Result<void> relist(TimePoint now, Unblock unblock) {
    for (unsigned attempt = 1;; ++attempt) {
      expectFingerprint();  // before the list: what changes during it shows in the next check
      auto all = driver_.list();
      if (all) {
        bool whole = true;
        tracker_.replaceObserved(*all, [&](Slot slot) { whole = observedChanged(slot) && whole; });
        if (unblock == Unblock::Yes) {
          tracker_.unparkIf([&](Slot slot) { return marked(slot, kBlocked); });
        }
        planned_ = false;
        audit_.listed(whole, now);
        log_.listed(now);
        return {};
      }
      const bool torn = all.error().code == Errc::Interrupted || all.error().code == Errc::Stale;
      if (torn && attempt <= options_.immediateRetries) continue;
      audit_.listFailed(now);
      log_.failed({}, all.error(), now);
      log_.endStep(1);
      return Fail(std::move(all.error()));
    }
  }

  bool listAgain(Phase phase, Removals removals, TimePoint now, Progress& progress) {
    if (!relist(now, Unblock::No)) return false;
    const auto first = nextPhase(std::numeric_limits<Phase>::min(), removals);
    progress.again = progress.again || (first && *first < phase);
    return true;
  }

  /// Sorts what is ready into phases, unless nothing changed since that was done.
  void sortByPhase() {
    if (planned_) return;
    steps_.clear();
    for (const Slot slot : tracker_.ready()) {
      steps_[driver_.phaseOf(*tracker_.op(slot), tracker_.key(slot), subject(slot))].push_back(
          slot);
    }
    planned_ = true;
  }

  /// Takes up to a slice of the phase out of the plan.
  std::vector<Slot> takeSlice(Phase phase, Removals removals, Progress& progress) {
    sortByPhase();
    std::vector<Slot> taken;
    const auto step = steps_.find(phase);
    if (step == steps_.end()) return taken;
    const std::size_t done = progress.changed + progress.failed;
    const std::size_t room = options_.slice > done ? options_.slice - done : 0;
    std::vector<Slot> left;
    for (const Slot slot : step->second) {
      const bool may = allowed(slot, removals);
      const bool fits = taken.size() < room;
      (may && fits ? taken : left).push_back(slot);
      if (may && !fits) progress.more = true;
    }
    if (left.empty()) {
      steps_.erase(step);
    } else {
      step->second = std::move(left);
    }
    return taken;
  }

  /// Returns whether some change found the table other than expected.
  bool applyStep(Phase phase, Removals removals, TimePoint now, bool last, Progress& progress) {
    const std::vector<Slot> slots = takeSlice(phase, removals, progress);
    if (slots.empty()) return false;
    std::vector<KeyedChange<Key, Value>> changes;
    changes.reserve(slots.size());
    for (const Slot slot : slots) {
      changes.push_back({*tracker_.op(slot), &tracker_.key(slot), &subject(slot)});
    }
    const std::vector<Result<void>> results = driver_.apply(changes);
    MGY_CHECK(results.size() == slots.size());
    bool stale = false;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Op op = changes[i].op;
      const Reaction reaction = results[i] ? Reaction::Done : reactionTo(results[i].error(), op);
      if (reaction == Reaction::Done) {
        succeeded(slots[i], op, now);
        ++progress.changed;
      } else if (reaction == Reaction::Relist && !last) {
        mark(slots[i], kDoubtful);
        planned_ = false;
        stale = true;
      } else {
        failed(slots[i], results[i].error(), reaction, now);
        ++progress.failed;
      }
    }
    return stale;
  }

  void succeeded(Slot slot, Op op, TimePoint now) {
    log_.changed(op);
    if (marked(slot, kDrifted)) log_.repaired(now);
    if (backoff_.size() != 0) backoff_.clear(tracker_.key(slot));
    if (driver_.onApplied) driver_.onApplied(op, tracker_.key(slot), subject(slot));
    unmark(slot, kDrifted | kDoubtful | kBlocked);
    tracker_.confirm(slot);
  }

  void failed(Slot slot, const Error& error, Reaction reaction, TimePoint now) {
    log_.failed(describe(slot), error, now);
    mark(slot, kDoubtful);
    tracker_.park(slot);
    if (reaction == Reaction::Wait) {
      mark(slot, kBlocked);
      return;
    }
    unmark(slot, kBlocked);
    backoff_.fail(tracker_.key(slot), now);
    if (reaction == Reaction::Relist) audit_.request();
  }

  KeyedDriver<Key, Value> driver_;
  TableOptions options_;
  TableLog log_;
  AuditSchedule audit_;
  Backoff<Key, Hash> backoff_;
  Tracker tracker_;
  std::map<Phase, std::vector<Slot>> steps_;  // what is ready, by phase; valid while planned_
  bool planned_ = false;
};

}  // namespace margay::reconcile
