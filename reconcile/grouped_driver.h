#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "reconcile/audit_schedule.h"
#include "reconcile/table.h"

namespace margay::reconcile {

/// What a group may need, for the wiring to order.
enum class GroupStep : std::uint8_t {
  Create,   ///< make it, or make it again because its spec differs
  FillNew,  ///< the first items of a group that was just made
  AddItem,  ///< items of a group that was there
  RemoveItem,
  Destroy,  ///< nobody wants it
};

template <class GroupSpec>
struct GroupHeader {
  GroupSpec spec;
  std::size_t items = 0;
};

/// The kernel table behind a GroupedTable, as functions of the wiring. They must not call the
/// table.
template <class GroupKey, class GroupSpec, class Item>
struct GroupedDriver {
  /// Every group that is ours, without its items. Called every `checkPeriod`.
  std::function<Result<std::map<GroupKey, GroupHeader<GroupSpec>>>()> list;
  std::function<Result<std::vector<Item>>(const GroupKey&)> items;
  std::function<Result<void>(const GroupKey&, const GroupSpec&)> create;
  /// NotFound is success. Fails while something refers to the group.
  std::function<Result<void>(const GroupKey&)> destroy;
  /// Goes through all changes in order; result i is for change i. All are of one group and one Op.
  std::function<std::vector<Result<void>>(const GroupKey&, std::span<const Change<Item>>)> apply;
  /// FillNew must not come before Create.
  std::function<Phase(GroupStep, const GroupKey&)> phaseOf;
  std::function<std::string(const GroupKey&)> describeGroup;
  std::function<std::string(const GroupKey&, const Item&)> describeItem;
  /// Optional: cheap, differs whenever anybody changed any group. No value: nothing is known.
  std::function<std::optional<Fingerprint>()> fingerprint = nullptr;
  /// Optional: after each successful change; no item if it is about the group itself.
  std::function<void(Op, const GroupKey&, const Item*)> onApplied = nullptr;
};

}  // namespace margay::reconcile
