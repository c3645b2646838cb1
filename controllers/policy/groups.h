#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "controllers/policy/model.h"
#include "controllers/policy/resolved_lists.h"

namespace margay::controllers {

inline constexpr std::chrono::minutes kEmptyGroupStays{10};

/// What of `tiers` and `profiles` a packet can reach, and its hash. Left out are: policies behind
/// an unconditional rule that ends their tier, tiers and profiles behind a tier that always ends in
/// a verdict, profiles without rules, and profiles behind one that always ends in a verdict.
/// `tiers` are in order and each has a policy of the direction. Pure.
[[nodiscard]] Group reachableGroup(api::PolicyDirection direction, std::vector<GroupTier> tiers,
                                   const std::vector<RuleListPtr>& profiles);

/// The groups that exist: those with members, and those that lost their last one not long ago. One
/// thread.
class Groups {
 public:
  explicit Groups(ResolvedLists& lists) : lists_(lists) {}

  /// One member more of the group with this content.
  GroupPtr join(Group group);
  /// An empty group stays until `collect` takes it.
  void leave(const GroupPtr& group);

  /// Names groups that are new since the last flush, and begins the time of those that became
  /// empty.
  void flush(TimePoint now, PolicyDelta& delta);
  /// Takes empty groups that are obsolete or have been empty for kEmptyGroupStays; none that the
  /// last flush was the first to find empty, for its members must leave before its rules go.
  void collect(TimePoint now, PolicyDelta& delta);
  /// When `collect` would take something; in the past if it would now.
  [[nodiscard]] std::optional<TimePoint> nextCollect() const;

  /// In order of direction and hash.
  [[nodiscard]] std::vector<GroupPtr> all() const;

 private:
  using Key = std::pair<api::PolicyDirection, std::string>;
  struct Entry {
    GroupPtr group;
    std::vector<ResolvedLists::Entry*> lists;
    std::uint32_t members = 0;
    bool announced = false;
    std::optional<TimePoint> emptySince;
    bool leftNow = false;  // empty since the last flush, and not before
  };
  [[nodiscard]] static std::optional<TimePoint> dueAt(const Entry& entry);

  ResolvedLists& lists_;
  std::map<Key, Entry> groups_;
};

}  // namespace margay::controllers
