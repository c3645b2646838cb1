#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "reconcile/grouped_content.h"
#include "reconcile/grouped_driver.h"
#include "reconcile/table.h"
#include "reconcile/table_log.h"

namespace margay::reconcile {

/// A kernel table of named collections: ipsets, sets and maps of nftables.
///
/// A group that is missing is made and all its items with it; one whose spec differs is destroyed
/// and made again, which the kernel refuses while it is referenced; one that nobody wants is
/// destroyed. Every `checkPeriod` the headers are listed: a group whose number of items is not ours
/// is read back at once, the others in turns, each at least every `fullPeriod`. Items fail one by
/// one and are tried again with a backoff of their group; see `reactionTo` for which errors do
/// that.
template <class GroupKey, class GroupSpec, class Item, class Hash = std::hash<Item>>
class GroupedTable final : public GroupedContent<GroupKey, GroupSpec, Item, Hash> {
  using Content = GroupedContent<GroupKey, GroupSpec, Item, Hash>;

 public:
  using Content::Content;

  [[nodiscard]] std::optional<Phase> nextPhase(Phase from, Removals removals) override {
    std::optional<Phase> best;
    if (!log_.everListed()) return best;
    for (const Group* group : dirty_) {
      group->forEachStep(removals, [&](GroupStep step) {
        const Phase phase = driver_.phaseOf(step, *group->key);
        if (phase >= from && (!best || phase < *best)) best = phase;
      });
    }
    return best;
  }

  Progress apply(Phase phase, Removals removals, TimePoint now) override {
    Progress progress;
    if (!log_.everListed()) return progress;
    const std::vector<Group*> dirty = dirty_;
    for (Group* group : dirty) {
      if (!has(*group, phase, removals)) continue;
      if (room(progress) == 0) {
        progress.more = true;
        break;
      }
      applyGroup(*group, phase, removals, now, progress);
    }
    sweep();
    log_.endStep(progress.failed);
    return progress;
  }

 private:
  using Content::audit_;
  using Content::dirty_;
  using Content::driver_;
  using Content::groupBackoff_;
  using Content::hold;
  using Content::itemBackoff_;
  using Content::log_;
  using Content::options_;
  using Content::readAgain;
  using Content::sweep;
  using typename Content::Group;

  [[nodiscard]] bool has(const Group& group, Phase phase, Removals removals) const {
    bool found = false;
    group.forEachStep(removals, [&](GroupStep step) {
      found = found || driver_.phaseOf(step, *group.key) == phase;
    });
    return found;
  }
  [[nodiscard]] std::size_t room(const Progress& progress) const {
    const std::size_t done = progress.changed + progress.failed;
    return options_.slice > done ? options_.slice - done : 0;
  }

  void groupFailed(Group& group, Op op, const Error& error, TimePoint now, Progress& progress) {
    ++progress.failed;
    log_.failed(driver_.describeGroup(*group.key), error, now);
    group.doubtful = true;
    if (reactionTo(error, op) == Reaction::Relist) audit_.request();
    hold(group, now);
  }

  void groupChanged(Group& group, Op op, TimePoint now, Progress& progress) {
    ++progress.changed;
    log_.changed(op);
    if (group.drifted) log_.repaired(now);
    group.drifted = group.doubtful = false;
    groupBackoff_.clear(*group.key);
    if (driver_.onApplied) driver_.onApplied(op, *group.key, nullptr);
  }

  bool destroy(Group& group, TimePoint now, Progress& progress) {
    const auto done = driver_.destroy(*group.key);
    if (!done && reactionTo(done.error(), Op::Remove) != Reaction::Done) {
      groupFailed(group, Op::Remove, done.error(), now, progress);
      return false;
    }
    group.seen.reset();
    group.read = false;
    group.observe(std::vector<Item>{}, false);
    groupChanged(group, Op::Remove, now, progress);
    return true;
  }

  void create(Group& group, TimePoint now, Progress& progress) {
    if (group.seen && !destroy(group, now, progress)) return;
    if (auto done = driver_.create(*group.key, *group.wanted); !done) {
      groupFailed(group, Op::Add, done.error(), now, progress);
      return;
    }
    group.seen = group.wanted;
    group.read = true;
    group.fresh = group.items.readyCount(Op::Add) != 0;
    groupChanged(group, Op::Add, now, progress);
  }

  void applyGroup(Group& group, Phase phase, Removals removals, TimePoint now, Progress& progress) {
    for (const GroupStep step : {GroupStep::Destroy, GroupStep::Create, GroupStep::FillNew,
                                 GroupStep::AddItem, GroupStep::RemoveItem}) {
      if (!group.wants(step, removals) || driver_.phaseOf(step, *group.key) != phase) continue;
      if (step == GroupStep::Destroy) {
        destroy(group, now, progress);
      } else if (step == GroupStep::Create) {
        create(group, now, progress);
      } else {
        applyItems(group, step == GroupStep::RemoveItem ? Op::Remove : Op::Add, now, progress);
        if (step == GroupStep::FillNew && group.items.readyCount(Op::Add) == 0) group.fresh = false;
      }
    }
  }

  void applyItems(Group& group, Op op, TimePoint now, Progress& progress) {
    for (unsigned attempt = 1; group.read; ++attempt) {
      const auto slots = group.take(op, room(progress));
      if (slots.empty()) break;
      std::vector<Change<Item>> changes;
      changes.reserve(slots.size());
      for (const auto slot : slots) changes.push_back({op, group.items.key(slot)});
      const auto results = driver_.apply(*group.key, changes);
      MGY_CHECK(results.size() == slots.size());
      const bool last = attempt > options_.immediateRetries;
      if (!settle(group, op, slots, results, last, now, progress)) break;
      const bool known = readAgain(group, now);
      progress.again = progress.again || !group.seen;
      if (!known) break;
    }
    progress.more = progress.more || (room(progress) == 0 && group.items.readyCount(op) != 0);
  }

  /// Returns whether some change found the group other than expected.
  template <class Slots, class Results>
  bool settle(Group& group, Op op, const Slots& slots, const Results& results, bool last,
              TimePoint now, Progress& progress) {
    bool stale = false;
    bool retry = false;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      Reaction reaction = results[i] ? Reaction::Done : reactionTo(results[i].error(), op);
      // Adding can only fail so because the group is not there.
      if (!results[i] && results[i].error().code == Errc::NotFound && op == Op::Add) {
        reaction = Reaction::Relist;
      }
      if (reaction == Reaction::Done) {
        ++progress.changed;
        log_.changed(op);
        if (group.wasDrift(slots[i])) log_.repaired(now);
        if (driver_.onApplied) driver_.onApplied(op, *group.key, &group.items.key(slots[i]));
        group.items.confirm(slots[i]);
      } else if (reaction == Reaction::Relist && !last) {
        group.doubt(slots[i]);
        stale = true;
      } else {
        ++progress.failed;
        log_.failed(driver_.describeItem(*group.key, group.items.key(slots[i])), results[i].error(),
                    now);
        group.park(slots[i], reaction == Reaction::Wait);
        retry = retry || reaction != Reaction::Wait;
      }
    }
    if (retry && !itemBackoff_.waiting(*group.key)) itemBackoff_.fail(*group.key, now);
    if (itemBackoff_.size() != 0 && group.items.parkedCount() == 0) itemBackoff_.clear(*group.key);
    return stale;
  }
};

}  // namespace margay::reconcile
