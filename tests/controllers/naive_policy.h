#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "api/selector/effective.h"
#include "base/shared.h"
#include "controllers/policy/model.h"
#include "controllers/policy/resolve.h"

/// What the incremental calculation must come to, by loops over all objects: slow and short.
namespace margay::controllers::naive {

using Objects = std::map<api::ObjectKey, api::Value>;
using Sets = std::map<SetId, std::set<dataplane::SetMember>>;

template <class T>
std::vector<std::pair<api::ObjectKey, Shared<T>>> all(const Objects& objects) {
  std::vector<std::pair<api::ObjectKey, Shared<T>>> out;
  for (const auto& [key, value] : objects) {
    if (const auto* held = std::get_if<Shared<T>>(&value)) out.emplace_back(key, *held);
  }
  return out;
}

/// Own labels, then those of each profile in turn.
inline api::Labels labelsOf(const Objects& objects, const api::Labels& own,
                            const std::vector<std::string>& profiles) {
  std::map<std::string, std::string> out(own.pairs().begin(), own.pairs().end());
  for (const auto& name : profiles) {
    const auto found = objects.find({api::Kind::Profile, {}, name});
    if (found == objects.end()) continue;
    for (const auto& pair : std::get<Shared<api::Profile>>(found->second)->labelsToApply.pairs())
      out.insert(pair);
  }
  return api::Labels(api::LabelMap(out.begin(), out.end()));
}
inline api::Labels labelsOf(const Objects& objects, const api::WorkloadEndpoint& endpoint) {
  return labelsOf(objects, endpoint.labels,
                  endpoint.profiles ? *endpoint.profiles : std::vector<std::string>{});
}
inline api::Labels labelsOf(const Objects& objects, const api::NetworkSet& set) {
  return labelsOf(objects, set.labels,
                  set.ns.empty() ? std::vector<std::string>{}
                                 : std::vector<std::string>{"kns." + set.ns.str()});
}

inline std::set<dataplane::SetMember> selected(const Objects& objects, const SetNeed& need) {
  std::set<dataplane::SetMember> out;
  const bool ports = need.id.kind == SetKind::NamedPort;
  for (const auto& [key, endpoint] : all<api::WorkloadEndpoint>(objects)) {
    if (!need.selector.matches(labelsOf(objects, *endpoint))) continue;
    for (const auto& prefix : endpoint->addresses) {
      if (!ports) out.insert({prefix, 0, 0, {}});
      if (!ports || !endpoint->ports) continue;
      for (const auto& port : *endpoint->ports) {
        if (port.name == need.id.portName && port.protocol == need.id.protocol)
          out.insert({prefix, port.protocol, port.port, {}});
      }
    }
  }
  for (const auto& [key, set] : all<api::NetworkSet>(objects)) {
    if (ports || !need.selector.matches(labelsOf(objects, *set))) continue;
    for (const auto& prefix : set->nets) {
      if (prefix.length > 0) out.insert({prefix, 0, 0, {}});
      const bool v4 = prefix.family() == Family::V4;
      for (const char* half : {v4 ? "0.0.0.0/1" : "::/1", v4 ? "128.0.0.0/1" : "8000::/1"}) {
        if (prefix.length == 0) out.insert({*Prefix::parseNetwork(half), 0, 0, {}});
      }
    }
  }
  return out;
}

inline std::set<dataplane::SetMember> served(const Objects& objects, const SetId& id) {
  std::set<dataplane::SetMember> out;
  for (const auto& [key, slice] : all<api::EndpointSlice>(objects)) {
    if (slice->ns != std::string_view(id.service.ns) || slice->service != id.service.name) continue;
    for (const auto& address : slice->addresses) {
      if (id.kind == SetKind::ServiceNoPort) out.insert({Prefix::host(address), 0, 0, {}});
      if (id.kind == SetKind::ServiceNoPort) continue;
      for (const auto& port : slice->ports)
        out.insert({Prefix::host(address), port.protocol, port.port, {}});
    }
  }
  return out;
}

/// The local endpoints.
inline std::vector<std::pair<api::ObjectKey, Shared<api::WorkloadEndpoint>>> locals(
    const Objects& objects, std::string_view node) {
  auto out = all<api::WorkloadEndpoint>(objects);
  out.erase(std::remove_if(out.begin(), out.end(),
                           [&](const auto& entry) { return entry.second->node != node; }),
            out.end());
  return out;
}

inline bool isActive(const Objects& objects, std::string_view node, const api::Policy& policy) {
  const auto here = locals(objects, node);
  return std::any_of(here.begin(), here.end(), [&](const auto& entry) {
    return api::policySelector(policy).matches(labelsOf(objects, *entry.second));
  });
}

/// Every set that an active policy or a profile of a local endpoint refers to.
inline Sets sets(const Objects& objects, std::string_view node) {
  Sets out;
  const auto addRules = [&](const std::vector<api::PolicyRule>& rules, std::string_view ns) {
    for (const auto& need : resolveRules(rules, ns).sets) {
      const bool selects = need.id.kind == SetKind::Selector || need.id.kind == SetKind::NamedPort;
      out[need.id] = selects ? selected(objects, need) : served(objects, need.id);
    }
  };
  for (const auto& [key, policy] : all<api::Policy>(objects)) {
    if (!isActive(objects, node, *policy)) continue;
    addRules(policy->ingress, policy->ns.view());
    addRules(policy->egress, policy->ns.view());
  }
  std::set<std::string> profiles;
  for (const auto& [key, endpoint] : locals(objects, node)) {
    if (endpoint->profiles) profiles.insert(endpoint->profiles->begin(), endpoint->profiles->end());
  }
  for (const auto& [key, profile] : all<api::Profile>(objects)) {
    if (!profiles.contains(profile->name)) continue;
    addRules(profile->ingress, "");
    addRules(profile->egress, "");
  }
  return out;
}

inline std::vector<api::Tier> sortedTiers(const Objects& objects) {
  std::vector<api::Tier> out;
  std::set<std::string> written;
  for (const auto& [key, tier] : all<api::Tier>(objects)) {
    out.push_back(*tier);
    written.insert(tier->name);
  }
  const auto add = [&](const char* name, double order, api::TierDefault action) {
    if (!written.contains(name)) out.push_back({name, order, action});
  };
  add("default", 1e6, api::TierDefault::Deny);
  add("kube-admin", 1000, api::TierDefault::Pass);
  add("adminnetworkpolicy", 1000, api::TierDefault::Pass);
  add("kube-baseline", 1e7, api::TierDefault::Pass);
  add("baselineadminnetworkpolicy", 1e7, api::TierDefault::Pass);
  std::sort(out.begin(), out.end(), [](const api::Tier& a, const api::Tier& b) {
    if (a.order.has_value() != b.order.has_value()) return a.order.has_value();
    return a.order == b.order ? a.name < b.name : a.order < b.order;
  });
  std::set<std::string> named;
  for (const auto& [key, policy] : all<api::Policy>(objects)) named.insert(policy->tier);
  for (const auto& tier : out) named.erase(tier.name);
  for (const auto& name : named) out.push_back({name, std::nullopt, api::TierDefault::Deny});
  return out;
}

inline std::vector<EndpointTier> tiersOf(const Objects& objects,
                                         const api::WorkloadEndpoint& endpoint) {
  auto policies = all<api::Policy>(objects);
  std::sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) {
    const auto tie = [](const auto& entry) {
      return entry.first.name + '/' + entry.first.ns.str() + '/' +
             std::string(api::kindText(entry.first.kind));
    };
    if (a.second->order.has_value() != b.second->order.has_value())
      return a.second->order.has_value();
    return a.second->order == b.second->order ? tie(a) < tie(b) : a.second->order < b.second->order;
  });
  std::vector<EndpointTier> out;
  for (const auto& tier : sortedTiers(objects)) {
    EndpointTier applied{tier.name, {}, {}};
    for (const auto& [key, policy] : policies) {
      if (policy->tier != tier.name || policy->doNotTrack || policy->preDnat) continue;
      if (!api::policySelector(*policy).matches(labelsOf(objects, endpoint))) continue;
      const auto name = policy->ns.empty() ? policy->name : policy->ns.str() + '/' + policy->name;
      if (policy->appliesToIngress) applied.ingress.push_back(name);
      if (policy->appliesToEgress) applied.egress.push_back(name);
    }
    if (!applied.ingress.empty() || !applied.egress.empty()) out.push_back(std::move(applied));
  }
  return out;
}

}  // namespace margay::controllers::naive
