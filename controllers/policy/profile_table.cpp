#include "controllers/policy/profile_table.h"

#include <string_view>
#include <utility>

#include "controllers/policy/policy_table.h"

namespace margay::controllers {
namespace {

constexpr std::string_view kDefaultAllow = "projectcalico-default-allow";

/// The profile that is there when none of the name is written; null for most.
ProfileTable::ProfilePtr builtIn(const std::string& name) {
  static const auto kProfile =
      share(api::Profile{std::string(kDefaultAllow), {}, {api::PolicyRule{}}, {api::PolicyRule{}}});
  return name == kDefaultAllow ? kProfile : nullptr;
}

}  // namespace

bool ProfileTable::set(const std::string& name, ProfilePtr profile) {
  if (!profile) profile = builtIn(name);
  if (!profile && !records_.contains(name)) return false;
  auto& record = records_[name];
  const bool sameRules = record.profile && profile && record.profile->ingress == profile->ingress &&
                         record.profile->egress == profile->egress;
  record.profile = std::move(profile);
  if (sameRules) return false;
  if (record.profile && record.lists.resolved()) {
    record.lists.resolve(lists_, ruleSource(*record.profile));
  } else {
    record.lists.forget(lists_);
  }
  dirty_.insert(name);
  return record.uses > 0;
}

void ProfileTable::addUse(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const auto [at, added] = records_.try_emplace(name);
    if (added) at->second.profile = builtIn(name);
    if (at->second.uses++ == 0) dirty_.insert(name);
  }
}

void ProfileTable::dropUse(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (--records_.at(name).uses == 0) dirty_.insert(name);
  }
}

void ProfileTable::refresh() {
  for (const auto& name : std::exchange(dirty_, {})) {
    const auto found = records_.find(name);
    if (found == records_.end()) continue;
    auto& record = found->second;
    if (record.uses > 0 && record.profile && !record.lists.resolved())
      record.lists.resolve(lists_, ruleSource(*record.profile));
    if (record.lists.resolved()) record.lists.setUsed(lists_, record.uses > 0);
    if (record.lists.resolved() && record.uses == 0) {
      idle_.insert(name);
    } else {
      idle_.erase(name);
    }
    dropIfUnneeded(name);
  }
}

void ProfileTable::dropIdle() {
  for (auto at = idle_.begin(); at != idle_.end();) {
    auto& record = records_.at(*at);
    if (record.lists.heldByGroup()) {
      ++at;
      continue;
    }
    record.lists.forget(lists_);
    dropIfUnneeded(*at);
    at = idle_.erase(at);
  }
}

void ProfileTable::dropIfUnneeded(const std::string& name) {
  const auto found = records_.find(name);
  const auto& record = found->second;
  if (!record.profile && record.uses == 0 && !record.lists.resolved()) records_.erase(found);
}

std::vector<RuleListPtr> ProfileTable::lists(const std::vector<std::string>& names,
                                             api::PolicyDirection direction) const {
  std::vector<RuleListPtr> out;
  for (const auto& name : names) {
    const auto found = records_.find(name);
    if (found != records_.end() && found->second.lists.resolved())
      out.push_back(found->second.lists.of(direction));
  }
  return out;
}

}  // namespace margay::controllers
