#include <algorithm>
#include <set>

#include "api/codec/calico_fields.h"
#include "api/codec/calico_kinds.h"
#include "api/codec/calico_metadata.h"
#include "api/codec/calico_rule.h"
#include "api/model/policy.h"

namespace margay::api {
namespace {

/// Directions that the policy applies to; Calico's default follows from the rules.
void readTypes(const JsonReader& spec, Policy& policy) {
  const std::vector<std::string> types = spec.strings("types");
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] != "Ingress" && types[i] != "Egress") {
      spec.error("types", i, "'" + types[i] + "' is no type of policy; use Ingress or Egress");
      continue;
    }
    bool& applies = types[i] == "Ingress" ? policy.appliesToIngress : policy.appliesToEgress;
    if (applies)
      spec.error("types", i, "'" + types[i] + "' type specified more than once; remove one");
    applies = true;
  }
  if (!types.empty()) return;
  policy.appliesToEgress = !policy.egress.empty();
  policy.appliesToIngress = !policy.ingress.empty() || policy.egress.empty();
}

void checkPerformanceHints(const JsonReader& spec) {
  const std::vector<std::string> hints = spec.strings("performanceHints");
  std::set<std::string> seen;
  for (std::size_t i = 0; i < hints.size(); ++i) {
    if (hints[i] != "AssumeNeededOnEveryNode") {
      spec.error("performanceHints", i,
                 "'" + hints[i] + "' is no hint; use AssumeNeededOnEveryNode");
    } else if (!seen.insert(hints[i]).second) {
      spec.error("performanceHints", i, "is specified more than once; remove one");
    }
  }
}

/// What both kinds have.
Policy readPolicy(const CalicoObject& object, RuleOwner owner) {
  const JsonReader& spec = object.spec;
  Policy policy;
  policy.ns = object.ns;
  policy.name = object.name;
  policy.tier = readName(spec, "tier");
  if (policy.tier.empty()) policy.tier = "default";
  policy.order = spec.number("order");
  policy.selector = readSelector(spec, "selector");
  policy.serviceAccountSelector = readSelector(spec, "serviceAccountSelector");
  policy.ingress = readRules(spec, "ingress", {owner, PolicyDirection::Ingress, object.ns});
  policy.egress = readRules(spec, "egress", {owner, PolicyDirection::Egress, object.ns});
  readTypes(spec, policy);
  checkPerformanceHints(spec);
  return policy;
}

/// Policies that act before conntrack or before DNAT.
void checkHostEndpointOptions(const JsonReader& spec, const Policy& policy) {
  if (policy.preDnat && policy.doNotTrack) {
    spec.error("preDNAT", "preDNAT and doNotTrack cannot both be true; use two policies");
  }
  if (policy.preDnat && !policy.egress.empty()) {
    spec.error("egress", "preDNAT policy cannot have any egress rules; remove them");
  }
  if (policy.preDnat && spec.has("types") && policy.appliesToEgress) {
    spec.error("types", "preDNAT policy cannot have 'Egress' type; remove it");
  }
  if (!policy.applyOnForward && (policy.preDnat || policy.doNotTrack)) {
    spec.error("applyOnForward",
               "applyOnForward must be true if either preDNAT or doNotTrack is true");
  }
}

Policy readNetworkPolicy(const CalicoObject& object) {
  return readPolicy(object, RuleOwner::NetworkPolicy);
}

Policy readGlobalNetworkPolicy(const CalicoObject& object) {
  const JsonReader& spec = object.spec;
  Policy policy = readPolicy(object, RuleOwner::GlobalNetworkPolicy);
  policy.namespaceSelector = readSelector(spec, "namespaceSelector");
  policy.doNotTrack = spec.boolean("doNotTrack").value_or(false);
  policy.preDnat = spec.boolean("preDNAT").value_or(false);
  policy.applyOnForward = spec.boolean("applyOnForward").value_or(false);
  checkHostEndpointOptions(spec, policy);
  return policy;
}

/// Tiers that Calico itself makes cannot be changed.
void checkBuiltInTier(const JsonReader& spec, const Tier& tier) {
  const auto builtIn = builtInTier(tier.name);
  if (!builtIn) return;
  if (tier.order != builtIn->order) {
    spec.error("order", tier.name + " tier order must be " +
                            std::to_string(static_cast<long>(*builtIn->order)));
  }
  const bool free = tier.name == kOlderAdminTier || tier.name == kOlderBaselineTier;
  if (!free && tier.defaultAction != builtIn->defaultAction) {
    spec.error("defaultAction",
               "The '" + tier.name + "' tier must have default action '" +
                   (builtIn->defaultAction == TierDefault::Deny ? "Deny'" : "Pass'"));
  }
}

}  // namespace

std::optional<Value> decodeNetworkPolicy(const CalicoObject& object) {
  object.spec.onlyFields({"tier", "order", "selector", "serviceAccountSelector", "types", "ingress",
                          "egress", "performanceHints"});
  return share(readNetworkPolicy(object));
}

std::optional<Value> decodeGlobalNetworkPolicy(const CalicoObject& object) {
  object.spec.onlyFields({"tier", "order", "selector", "serviceAccountSelector",
                          "namespaceSelector", "types", "ingress", "egress", "performanceHints",
                          "doNotTrack", "preDNAT", "applyOnForward"});
  return share(readGlobalNetworkPolicy(object));
}

std::optional<Value> decodeStagedPolicy(const CalicoObject& object) {
  object.warnings->push_back(object.kindName + " " + object.name +
                             " is staged: it is not enforced");
  const std::string action =
      readChoice(object.spec, "stagedAction", {"Set", "Delete", "Learn", "Ignore"}, "Set");
  if (object.kindName == "StagedKubernetesNetworkPolicy") return std::nullopt;
  if (action == "Delete") {
    for (const std::string& key : object.spec.keys()) {
      if (key != "stagedAction" && key != "tier") {
        object.spec.error(key, "must be absent when stagedAction is Delete; only tier may stay");
      }
    }
    return std::nullopt;
  }
  object.spec.onlyFields({"stagedAction", "tier", "order", "selector", "serviceAccountSelector",
                          "namespaceSelector", "types", "ingress", "egress", "performanceHints",
                          "doNotTrack", "preDNAT", "applyOnForward"});
  static_cast<void>(object.kindName == "StagedNetworkPolicy" ? readNetworkPolicy(object)
                                                             : readGlobalNetworkPolicy(object));
  return std::nullopt;
}

std::optional<Value> decodeTier(const CalicoObject& object) {
  object.spec.onlyFields({"order", "defaultAction"});
  Tier tier;
  tier.name = object.name;
  tier.order = object.spec.number("order").value_or(kDefaultTierOrder);
  tier.defaultAction = readChoice(object.spec, "defaultAction", {"Deny", "Pass"}, "Deny") == "Pass"
                           ? TierDefault::Pass
                           : TierDefault::Deny;
  checkBuiltInTier(object.spec, tier);
  return share(std::move(tier));
}

std::optional<Value> decodeProfile(const CalicoObject& object) {
  object.spec.onlyFields({"ingress", "egress", "labelsToApply"});
  Profile profile;
  profile.name = object.name;
  profile.labelsToApply = Labels(readLabels(object.spec, "labelsToApply"));
  profile.ingress =
      readRules(object.spec, "ingress", {RuleOwner::Profile, PolicyDirection::Ingress, {}});
  profile.egress =
      readRules(object.spec, "egress", {RuleOwner::Profile, PolicyDirection::Egress, {}});
  return share(std::move(profile));
}

}  // namespace margay::api
