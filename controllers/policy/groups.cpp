#include "controllers/policy/groups.h"

#include <algorithm>

#include "base/hash.h"

namespace margay::controllers {
namespace {

using api::RuleAction;

bool isUnconditional(const ResolvedRule& rule) {
  ResolvedRule bare;
  bare.action = rule.action;
  return rule == bare;
}

/// How evaluation can leave a rule list.
struct Ways {
  bool pass = false;  ///< a rule that may be reached says Pass
  bool end = true;    ///< no unconditional Allow, Deny or Pass: packets may come out at the end
};

Ways waysOut(const RuleList& list) {
  Ways out;
  for (const auto& rule : list.rules) {
    if (rule.action == RuleAction::Log) continue;
    out.pass = out.pass || rule.action == RuleAction::Pass;
    if (!isUnconditional(rule)) continue;
    out.end = false;
    break;
  }
  return out;
}

/// Cuts the tier's unreachable policies. Whether a packet may go on behind the tier.
bool cutTier(GroupTier& tier) {
  bool pass = false;
  for (auto policy = tier.policies.begin(); policy != tier.policies.end(); ++policy) {
    const auto ways = waysOut(**policy);
    pass = pass || ways.pass;
    if (ways.end) continue;
    tier.policies.erase(policy + 1, tier.policies.end());
    return pass;
  }
  return pass || tier.defaultAction == api::TierDefault::Pass;
}

std::vector<RuleListPtr> reachableProfiles(const std::vector<RuleListPtr>& profiles) {
  std::vector<RuleListPtr> out;
  for (const auto& profile : profiles) {
    if (profile->rules.empty()) continue;
    out.push_back(profile);
    // After Pass the next profile has its say.
    const auto ways = waysOut(*profile);
    if (!ways.end && !ways.pass) break;
  }
  return out;
}

std::string hashOf(const Group& group) {
  std::string text = group.direction == api::PolicyDirection::Ingress ? "ingress" : "egress";
  const auto add = [&](const std::vector<RuleListPtr>& lists) {
    text += ' ' + std::to_string(lists.size());
    for (const auto& list : lists) text += ' ' + list->hash;
  };
  for (const auto& tier : group.tiers) {
    text += ' ' + std::to_string(tier.name.size()) + ':' + tier.name;
    text += tier.defaultAction == api::TierDefault::Deny ? " deny" : " pass";
    add(tier.policies);
  }
  text += " profiles";
  add(group.profiles);
  return contentHash(text, 16);
}

std::vector<const RuleList*> listsOf(const Group& group) {
  std::vector<const RuleList*> out;
  for (const auto& tier : group.tiers) {
    for (const auto& policy : tier.policies) out.push_back(policy.get());
  }
  for (const auto& profile : group.profiles) out.push_back(profile.get());
  return out;
}

}  // namespace

Group reachableGroup(api::PolicyDirection direction, std::vector<GroupTier> tiers,
                     const std::vector<RuleListPtr>& profiles) {
  Group out;
  out.direction = direction;
  bool goesOn = true;
  for (auto& tier : tiers) {
    goesOn = cutTier(tier);
    out.tiers.push_back(std::move(tier));
    if (!goesOn) break;
  }
  if (goesOn) out.profiles = reachableProfiles(profiles);
  out.hash = hashOf(out);
  return out;
}

GroupPtr Groups::join(Group group) {
  auto& entry = groups_[{group.direction, group.hash}];
  ++entry.members;
  entry.emptySince.reset();
  if (entry.group) return entry.group;
  for (const auto* list : listsOf(group)) {
    entry.lists.push_back(lists_.entryOf(*list));
    lists_.use(entry.lists.back());
  }
  entry.group = std::make_shared<const Group>(std::move(group));
  return entry.group;
}

void Groups::leave(const GroupPtr& group) {
  --groups_.at({group->direction, group->hash}).members;
}

void Groups::flush(TimePoint now, PolicyDelta& delta) {
  for (auto& [key, entry] : groups_) {
    entry.leftNow = entry.members == 0 && !entry.emptySince;
    if (entry.leftNow) entry.emptySince = now;
    if (entry.announced) continue;
    entry.announced = true;
    delta.groupsAdded.push_back(entry.group);
  }
}

std::optional<TimePoint> Groups::dueAt(const Entry& entry) {
  if (entry.members > 0 || !entry.emptySince) return std::nullopt;
  const bool obsolete = std::any_of(entry.lists.begin(), entry.lists.end(),
                                    [](const auto* list) { return !list->current(); });
  return obsolete ? *entry.emptySince : *entry.emptySince + kEmptyGroupStays;
}

void Groups::collect(TimePoint now, PolicyDelta& delta) {
  for (auto at = groups_.begin(); at != groups_.end();) {
    const auto due = dueAt(at->second);
    // The kernel is still to be told that its members left.
    if (!due || *due > now || at->second.leftNow) {
      ++at;
      continue;
    }
    delta.groupsRemoved.push_back(at->second.group);
    for (auto* list : at->second.lists) lists_.unuse(list);
    at = groups_.erase(at);
  }
}

std::optional<TimePoint> Groups::nextCollect() const {
  std::optional<TimePoint> out;
  for (const auto& [key, entry] : groups_) {
    const auto due = dueAt(entry);
    if (due && (!out || *due < *out)) out = due;
  }
  return out;
}

std::vector<GroupPtr> Groups::all() const {
  std::vector<GroupPtr> out;
  for (const auto& [key, entry] : groups_) out.push_back(entry.group);
  return out;
}

}  // namespace margay::controllers
