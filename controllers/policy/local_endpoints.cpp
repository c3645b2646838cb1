#include "controllers/policy/local_endpoints.h"

#include <algorithm>
#include <utility>

namespace margay::controllers {
namespace {

const std::vector<std::string>& profilesOf(const api::WorkloadEndpoint& endpoint) {
  static const std::vector<std::string> kNone;
  return endpoint.profiles ? *endpoint.profiles : kNone;
}

bool applies(const api::Policy& policy, api::PolicyDirection direction) {
  return direction == api::PolicyDirection::Ingress ? policy.appliesToIngress
                                                    : policy.appliesToEgress;
}

/// The tiers of `policies`, which are in order, as an operator reads them.
std::vector<EndpointTier> tiersOf(const std::vector<const PolicyRecord*>& policies) {
  std::vector<EndpointTier> out;
  for (const auto* record : policies) {
    const auto& policy = *record->policy;
    if (!policy.appliesToIngress && !policy.appliesToEgress) continue;
    if (out.empty() || out.back().name != policy.tier) out.push_back({policy.tier, {}, {}});
    if (policy.appliesToIngress) out.back().ingress.push_back(record->name);
    if (policy.appliesToEgress) out.back().egress.push_back(record->name);
  }
  return out;
}

}  // namespace

void LocalEndpoints::set(const api::ObjectKey& key, EndpointPtr endpoint) {
  const auto found = locals_.find(key);
  if (!endpoint) {
    if (found == locals_.end()) return;
    const auto left = found->second.labelClass;
    locals_.erase(found);
    dirty_.insert(key);
    return leave(key, left);
  }
  if (found == locals_.end()) {
    const auto id = in_.index.acquire(endpoint->labels, profilesOf(*endpoint));
    enter(key, id);
    locals_.emplace(key, Local{std::move(endpoint), id});
  } else if (found->second.endpoint != endpoint && *found->second.endpoint != *endpoint) {
    const auto left = found->second.labelClass;
    const auto id = in_.index.acquire(endpoint->labels, profilesOf(*endpoint));
    found->second = Local{std::move(endpoint), id};
    if (id == left) {
      in_.index.release(left);
    } else {
      enter(key, id);
      leave(key, left);
    }
  }
  dirty_.insert(key);
}

void LocalEndpoints::enter(const api::ObjectKey& key, ClassId id) {
  auto& entered = classes_[id];
  if (entered.members.empty()) {
    in_.profiles.addUse(in_.index.profilesOf(id));
    dirtyClasses_.insert(id);
  }
  entered.members.insert(key);
}

void LocalEndpoints::leave(const api::ObjectKey& key, ClassId id) {
  const auto left = classes_.find(id);
  left->second.members.erase(key);
  if (left->second.members.empty()) {
    in_.profiles.dropUse(in_.index.profilesOf(id));
    for (const auto& group : {left->second.ingress, left->second.egress}) {
      if (group) in_.groups.leave(group);
    }
    classes_.erase(left);
  }
  in_.index.release(id);
}

void LocalEndpoints::markAllDirty() {
  for (const auto& [id, of] : classes_) dirtyClasses_.insert(id);
}

void LocalEndpoints::markProfileDirty(const std::string& profile) {
  for (const auto& [id, of] : classes_) {
    const auto& names = in_.index.profilesOf(id);
    if (std::find(names.begin(), names.end(), profile) != names.end()) dirtyClasses_.insert(id);
  }
}

std::vector<const PolicyRecord*> LocalEndpoints::policiesOf(ClassId id) const {
  struct Ranked {
    TierInForce tier;
    const PolicyRecord* record;
  };
  std::vector<Ranked> ranked;
  for (const auto selector : in_.index.selectorsOf(id)) {
    for (const auto* record : in_.policies.of(selector)) {
      if (record->policy->doNotTrack || record->policy->preDnat) continue;
      ranked.push_back({in_.tiers.find(record->policy->tier), record});
    }
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    if (a.tier.name != b.tier.name) return TierInForce::before(a.tier, b.tier);
    return PolicyRecord::before(*a.record, *b.record);
  });
  std::vector<const PolicyRecord*> out;
  out.reserve(ranked.size());
  for (const auto& entry : ranked) out.push_back(entry.record);
  return out;
}

Group LocalEndpoints::groupOf(ClassId id, const std::vector<const PolicyRecord*>& policies,
                              api::PolicyDirection direction) const {
  std::vector<GroupTier> tiers;
  for (const auto* record : policies) {
    if (!applies(*record->policy, direction)) continue;
    const auto tier = in_.tiers.find(record->policy->tier);
    if (tiers.empty() || tiers.back().name != tier.name)
      tiers.push_back({tier.name, tier.defaultAction, {}});
    tiers.back().policies.push_back(record->lists.of(direction));
  }
  return reachableGroup(direction, std::move(tiers),
                        in_.profiles.lists(in_.index.profilesOf(id), direction));
}

void LocalEndpoints::resolve(ClassId id, Class& of) {
  const auto policies = policiesOf(id);
  of.tiers = tiersOf(policies);
  const auto ingress = std::exchange(
      of.ingress, in_.groups.join(groupOf(id, policies, api::PolicyDirection::Ingress)));
  const auto egress = std::exchange(
      of.egress, in_.groups.join(groupOf(id, policies, api::PolicyDirection::Egress)));
  if (ingress) in_.groups.leave(ingress);
  if (egress) in_.groups.leave(egress);
}

void LocalEndpoints::flush(PolicyDelta& delta) {
  for (const auto id : std::exchange(dirtyClasses_, {})) {
    const auto found = classes_.find(id);
    if (found == classes_.end()) continue;
    resolve(id, found->second);
    dirty_.insert(found->second.members.begin(), found->second.members.end());
  }
  for (const auto& key : std::exchange(dirty_, {})) flushEndpoint(key, delta);
}

void LocalEndpoints::flushEndpoint(const api::ObjectKey& key, PolicyDelta& delta) {
  const auto local = locals_.find(key);
  if (local == locals_.end()) {
    if (views_.erase(key) > 0) delta.endpointsRemoved.push_back(key);
    return;
  }
  const auto& of = classes_.at(local->second.labelClass);
  const auto& endpoint = local->second.endpoint;
  auto& view = views_[key];
  const bool same = view && view->ingress == of.ingress && view->egress == of.egress &&
                    view->tiers == of.tiers &&
                    (view->endpoint == endpoint || *view->endpoint == *endpoint);
  if (same) return;
  view = std::make_shared<const LocalEndpoint>(LocalEndpoint{
      endpoint, of.tiers, of.ingress, of.egress, api::interfaceNameOf(*endpoint, prefix_)});
  delta.endpointsChanged.push_back(view);
}

}  // namespace margay::controllers
