#include "controllers/node/notices.h"

#include <algorithm>
#include <map>

namespace margay::controllers {
namespace {

using api::Kind;

constexpr std::string_view kOfNamespace = "kns.";
constexpr std::string_view kOfServiceAccount = "ksa.";

std::string workloadName(const api::WorkloadEndpoint& endpoint) {
  return endpoint.ns.str() + '/' + endpoint.workload();
}

/// "a", "a and b", "a and 3 more".
std::string shortList(const std::vector<std::string>& names) {
  if (names.size() == 1) return names.front();
  return names.front() + " and " +
         (names.size() == 2 ? names.back() : std::to_string(names.size() - 1) + " more");
}

void addTiers(const Objects& objects, std::vector<Notice>& out) {
  for (auto at = objects.lower_bound({Kind::NetworkPolicy, {}, {}});
       at != objects.end() && at->first.kind <= Kind::BaselineAdminNetworkPolicy; ++at) {
    const auto* policy = std::get_if<Shared<api::Policy>>(&at->second);
    if (policy == nullptr) continue;
    const auto& tier = (*policy)->tier;
    if (api::builtInTier(tier) || objects.contains({Kind::Tier, {}, tier})) continue;
    out.push_back({at->first, "spec.tier",
                   "there is no Tier " + tier +
                       ": the policy applies after all tiers that exist, and what it does not "
                       "decide is denied; add the Tier or correct the field"});
  }
}

Notice missingProfile(const std::string& name, const std::vector<std::string>& workloads) {
  const bool one = workloads.size() == 1;
  const auto which =
      std::string(one ? "workload " : "workloads ") + shortList(workloads) + " of this node";
  if (name.starts_with(kOfNamespace)) {
    return {{Kind::Namespace, {}, name.substr(kOfNamespace.size())},
            "",
            "does not exist, but " + which + (one ? " belongs" : " belong") +
                " to it: without its profile only policies allow anything, and no "
                "namespaceSelector matches; add the Namespace"};
  }
  return {{Kind::Profile, {}, name},
          "",
          "does not exist, but " + which + (one ? " refers" : " refer") +
              " to it: it allows nothing and gives no labels; add the Profile or take the name out "
              "of spec.profiles"};
}

void addProfiles(const Objects& objects, std::span<const WorkloadInterface> interfaces,
                 std::vector<Notice>& out) {
  std::map<std::string, std::vector<std::string>> users;
  for (const auto& interface : interfaces) {
    const auto& endpoint = *interface.endpoint->endpoint;
    if (!endpoint.profiles) continue;
    for (const auto& name : *endpoint.profiles) {
      if (name.starts_with(kOfServiceAccount) || name == "projectcalico-default-allow") continue;
      if (!objects.contains({Kind::Profile, {}, name}))
        users[name].push_back(workloadName(endpoint));
    }
  }
  for (auto& [name, workloads] : users) {
    std::sort(workloads.begin(), workloads.end());
    out.push_back(missingProfile(name, workloads));
  }
}

void addInterfaces(std::span<const WorkloadInterface> interfaces, const dataplane::LinkMap& links,
                   std::vector<Notice>& out) {
  for (const auto& interface : interfaces) {
    if (links.contains(interface.device)) continue;
    const auto& endpoint = *interface.endpoint->endpoint;
    const bool named = !endpoint.details().interfaceName.empty();
    out.push_back({keyOf(endpoint), named ? "spec.interfaceName" : "",
                   "there is no interface " + interface.device +
                       " on this node: " + workloadName(endpoint) +
                       " has no route until its interface is made; if it is gone for good, delete "
                       "the object"});
  }
}

}  // namespace

std::string Notice::str() const {
  return object.str() + ": " + (field.empty() ? "" : field + ": ") + reason;
}

std::vector<Notice> notices(const Objects& objects, std::span<const WorkloadInterface> interfaces,
                            const dataplane::LinkMap& links) {
  std::vector<Notice> out;
  addTiers(objects, out);
  addProfiles(objects, interfaces, out);
  addInterfaces(interfaces, links, out);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace margay::controllers
