#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/change.h"
#include "reconcile/delta_tracker.h"
#include "reconcile/grouped_driver.h"
#include "reconcile/table.h"

namespace margay::reconcile {

/// One group of a GroupedTable: what should be, what is, and what its steps are. One thread.
template <class GroupKey, class GroupSpec, class Item, class Hash>
struct GroupState {
  using Tracker = DeltaTracker<Item, NoValue, Hash>;
  using Slot = typename Tracker::Slot;

  const GroupKey* key = nullptr;  ///< in the map that holds the group
  std::optional<GroupSpec> wanted;
  std::optional<GroupSpec> seen;
  Tracker items;
  bool read = false;      ///< the observed items are what the kernel has
  bool stale = false;     ///< reading them back failed: they are what the kernel had once
  bool fresh = false;     ///< made by us, its first items are not all in
  bool held = false;      ///< an operation on the group failed: not now
  bool dirty = false;     ///< in the table's list of groups to look at
  bool drifted = false;   ///< is or is not there, against what we left
  bool doubtful = false;  ///< our last operation on it failed

  [[nodiscard]] bool dead() const { return !wanted && !seen && items.desiredCount() == 0; }
  [[nodiscard]] bool unread() const { return wanted && seen && (!read || stale); }

  [[nodiscard]] bool wants(GroupStep step, Removals removals) const {
    const bool may = removals == Removals::Allowed;
    const bool right = wanted && seen && *wanted == *seen;
    switch (step) {
      case GroupStep::Create:
        return wanted && !right && !held && (!seen || may);
      case GroupStep::FillNew:
        return right && read && fresh && items.readyCount(Op::Add) != 0;
      case GroupStep::AddItem:
        return right && read && !fresh && items.readyCount(Op::Add) != 0;
      case GroupStep::RemoveItem:
        return right && read && may && items.readyCount(Op::Remove) != 0;
      case GroupStep::Destroy:
        return !wanted && seen && !held && may;
    }
    return false;
  }
  template <class Visit>
  void forEachStep(Removals removals, Visit visit) const {
    for (const GroupStep step : {GroupStep::Create, GroupStep::FillNew, GroupStep::AddItem,
                                 GroupStep::RemoveItem, GroupStep::Destroy}) {
      if (wants(step, removals)) visit(step);
    }
  }
  /// What is to be done about the group itself.
  [[nodiscard]] std::optional<Op> pendingOp() const {
    if (!wanted) return seen ? std::optional(Op::Remove) : std::nullopt;
    if (!seen) return Op::Add;
    return *wanted == *seen ? std::nullopt : std::optional(Op::Replace);
  }
  void addTo(TableStatus& status) const {
    status.observed += items.observedCount();
    status.pending += pendingOp() || unread() ? 1 : 0;
    status.failing += held ? 1 : 0;
    if (!wanted) return;
    status.desired += items.desiredCount();
    status.pending += items.pendingCount();
    status.failing += items.parkedCount();
  }

  /// Takes up what the kernel has; with `ours`, what differs from what we left is drift.
  void observe(const std::vector<Item>& all, bool ours) {
    stale = false;
    items.replaceObserved(all, [&](Slot slot) {
      const bool doubt = (items.marks(slot) & kDoubtful) != 0;
      const bool drift = ours && !doubt && items.op(slot);
      const auto kept = static_cast<std::uint8_t>(items.marks(slot) & kBlocked);
      if (items.op(slot)) items.setMarks(slot, drift ? kept | kDrifted : kept);
    });
    unblock();
  }
  [[nodiscard]] std::vector<Slot> take(Op op, std::size_t limit) {
    std::vector<Slot> out;
    out.reserve(std::min(limit, items.readyCount(op)));
    for (const Slot slot : items.ready()) {
      if (out.size() == limit) break;
      if (items.op(slot) == op) out.push_back(slot);
    }
    return out;
  }
  [[nodiscard]] bool wasDrift(Slot slot) const { return (items.marks(slot) & kDrifted) != 0; }
  void doubt(Slot slot) { items.setMarks(slot, kDoubtful); }
  void park(Slot slot, bool blocked) {
    items.setMarks(slot, blocked ? kDoubtful | kBlocked : kDoubtful);
    items.park(slot);
  }
  void unparkFailed() {
    items.unparkIf([&](Slot slot) { return (items.marks(slot) & kBlocked) == 0; });
  }
  /// Items that waited for new input are tried again.
  void unblock() {
    items.unparkIf([&](Slot slot) { return (items.marks(slot) & kBlocked) != 0; });
  }

 private:
  // Marks of an item; they end when it does not differ any more.
  static constexpr std::uint8_t kDrifted = 1;   // not as we left it
  static constexpr std::uint8_t kDoubtful = 2;  // our last change of it failed
  static constexpr std::uint8_t kBlocked = 4;   // parked until new input
};

}  // namespace margay::reconcile
