#include "controllers/policy/engine.h"

#include <map>
#include <utility>

#include "controllers/policy/groups.h"
#include "controllers/policy/local_endpoints.h"
#include "controllers/policy/policy_table.h"
#include "controllers/policy/profile_table.h"
#include "controllers/policy/resolved_lists.h"
#include "controllers/policy/tiers.h"

namespace margay::controllers {
namespace {

/// Null if the object is gone, or if its value is not of the kind that its key says.
template <class T>
Shared<T> valueOf(const api::Update& update) {
  if (!update.value) return nullptr;
  const auto* held = std::get_if<Shared<T>>(&*update.value);
  return held == nullptr ? nullptr : *held;
}

RuleListPtr listOf(const PolicyRecord& record, api::PolicyDirection direction) {
  if (record.lists.resolved()) return record.lists.of(direction);
  const auto source = ruleSource(*record.policy);
  const auto& written = direction == api::PolicyDirection::Ingress ? source.ingress : source.egress;
  auto rules = resolveRules(written, source.ns).rules;
  auto hash = ruleListHash(source.label, source.tier, rules);
  return std::make_shared<const RuleList>(
      RuleList{source.label, source.tier, std::move(rules), std::move(hash)});
}

}  // namespace

struct PolicyEngine::State {
  explicit State(PolicyEngineConfig config)
      : node(std::move(config.nodeName)),
        localIndex([this](ClassId changing, SelectorId selector) {
          policies.onMatchChange(selector);
          locals.markDirty(changing);
        }),
        lists(membership),
        policies(localIndex, lists),
        profiles(lists),
        groups(lists),
        locals({localIndex, policies, profiles, tiers, groups}, std::move(config.interfacePrefix)) {
  }

  void setEndpoint(const api::ObjectKey& key, const Shared<api::WorkloadEndpoint>& endpoint) {
    membership.set(key, endpoint);
    locals.set(key, endpoint && endpoint->node == std::string_view(node) ? endpoint : nullptr);
  }

  void setProfile(const std::string& name, const Shared<api::Profile>& profile) {
    const auto labels = profile ? profile->labelsToApply : api::Labels();
    membership.setProfileLabels(name, labels);
    localIndex.setProfileLabels(name, labels);
    if (profiles.set(name, profile)) locals.markProfileDirty(name);
  }

  std::string node;
  Membership membership;
  LabelIndex localIndex;
  ResolvedLists lists;
  PolicyTable policies;
  ProfileTable profiles;
  Tiers tiers;
  Groups groups;
  LocalEndpoints locals;
};

PolicyEngine::PolicyEngine(PolicyEngineConfig config)
    : state_(std::make_unique<State>(std::move(config))) {}
PolicyEngine::~PolicyEngine() = default;

void PolicyEngine::update(const api::Update& update) {
  const auto& key = update.key;
  switch (key.kind) {
    case api::Kind::WorkloadEndpoint:
      return state_->setEndpoint(key, valueOf<api::WorkloadEndpoint>(update));
    case api::Kind::NetworkSet:
    case api::Kind::GlobalNetworkSet:
      return state_->membership.set(key, valueOf<api::NetworkSet>(update));
    case api::Kind::EndpointSlice:
      return state_->membership.set(key, valueOf<api::EndpointSlice>(update));
    case api::Kind::Profile:
      return state_->setProfile(key.name, valueOf<api::Profile>(update));
    case api::Kind::Tier:
      if (state_->tiers.set(key.name, valueOf<api::Tier>(update))) state_->locals.markAllDirty();
      return;
    case api::Kind::NetworkPolicy:
    case api::Kind::GlobalNetworkPolicy:
    case api::Kind::KubernetesNetworkPolicy:
    case api::Kind::ClusterNetworkPolicy:
    case api::Kind::AdminNetworkPolicy:
    case api::Kind::BaselineAdminNetworkPolicy:
      return state_->policies.set(key, valueOf<api::Policy>(update), state_->locals.dirtyClasses());
    default:
      return;
  }
}

PolicyDelta PolicyEngine::flush(TimePoint now) {
  PolicyDelta delta;
  state_->policies.refresh();
  state_->profiles.refresh();
  state_->locals.flush(delta);
  state_->groups.flush(now, delta);
  state_->membership.flush(delta);
  return delta;
}

PolicyDelta PolicyEngine::collect(TimePoint now) {
  PolicyDelta delta = flush(now);
  state_->groups.collect(now, delta);
  state_->policies.dropIdle();
  state_->profiles.dropIdle();
  state_->membership.flush(delta);
  return delta;
}

std::optional<TimePoint> PolicyEngine::nextCollect() const {
  return state_->groups.nextCollect();
}

std::vector<std::shared_ptr<const LocalEndpoint>> PolicyEngine::endpoints() const {
  std::vector<std::shared_ptr<const LocalEndpoint>> out;
  for (const auto& [key, view] : state_->locals.views()) out.push_back(view);
  return out;
}

std::vector<Membership::View> PolicyEngine::sets() const {
  return state_->membership.sets();
}

std::vector<PolicyView> PolicyEngine::policies() const {
  std::vector<PolicyView> out;
  for (const auto& [key, record] : state_->policies.all()) {
    out.push_back({key, record.name, record.policy, record.active,
                   listOf(record, api::PolicyDirection::Ingress),
                   listOf(record, api::PolicyDirection::Egress)});
  }
  return out;
}

std::vector<GroupView> PolicyEngine::groups() const {
  std::map<GroupPtr, std::vector<api::ObjectKey>> members;
  for (const auto& [key, view] : state_->locals.views()) {
    members[view->ingress].push_back(key);
    members[view->egress].push_back(key);
  }
  std::vector<GroupView> out;
  for (const auto& group : state_->groups.all()) out.push_back({group, std::move(members[group])});
  return out;
}

PolicyCounts PolicyEngine::counts() const {
  return {state_->locals.views().size(), state_->membership.endpoints(),
          state_->policies.activeCount(), state_->policies.all().size()};
}

Shared<api::WorkloadEndpoint> PolicyEngine::endpoint(const api::ObjectKey& key) const {
  return state_->membership.endpoint(key);
}

void PolicyEngine::forEachEndpoint(
    const std::function<void(const Shared<api::WorkloadEndpoint>&)>& visit) const {
  state_->membership.forEachEndpoint(visit);
}

}  // namespace margay::controllers
