#include "controllers/policy/evaluator.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "controllers/policy/evaluator_match.h"

namespace margay::controllers {
namespace {

using api::PolicyDirection;

constexpr double kLast = std::numeric_limits<double>::infinity();

std::string policyName(const api::Policy& policy) {
  return policy.ns.empty() ? policy.name : policy.ns.str() + '/' + policy.name;
}

std::string_view actionText(api::RuleAction action) {
  switch (action) {
    case api::RuleAction::Allow:
      return "Allow";
    case api::RuleAction::Deny:
      return "Deny";
    case api::RuleAction::Log:
      return "Log";
    case api::RuleAction::Pass:
      return "Pass";
  }
  return "";
}

template <class T>
std::vector<Shared<T>> all(const Objects& objects) {
  std::vector<Shared<T>> out;
  for (const auto& [key, value] : objects) {
    if (const auto* held = std::get_if<Shared<T>>(&value)) out.push_back(*held);
  }
  return out;
}

/// Tiers that policies name, in the order in which they apply: those that are written or built in,
/// and after them, by name, those that are neither.
std::vector<api::Tier> sortedTiers(const Objects& objects) {
  std::set<std::string> names;
  for (const auto& policy : all<api::Policy>(objects)) names.insert(policy->tier);
  std::vector<api::Tier> tiers;
  for (const auto& tier : all<api::Tier>(objects)) {
    if (names.erase(tier->name) > 0) tiers.push_back(*tier);
  }
  std::vector<api::Tier> missing;
  for (const auto& name : names) {
    const auto builtIn = api::builtInTier(name);
    (builtIn ? tiers : missing).push_back(builtIn.value_or(api::Tier{name, std::nullopt}));
  }
  std::sort(tiers.begin(), tiers.end(), [](const api::Tier& a, const api::Tier& b) {
    return std::tuple(!a.order.has_value(), a.order.value_or(0), a.name) <
           std::tuple(!b.order.has_value(), b.order.value_or(0), b.name);
  });
  tiers.insert(tiers.end(), missing.begin(), missing.end());
  return tiers;
}

/// Policies of the tier that apply to the endpoint in the direction, first one first.
std::vector<Shared<api::Policy>> policiesOf(const Objects& objects, const api::Tier& tier,
                                            PolicyDirection direction,
                                            const EndpointLabels& labels) {
  std::vector<std::pair<api::Kind, Shared<api::Policy>>> chosen;
  for (const auto& [key, value] : objects) {
    const auto* held = std::get_if<Shared<api::Policy>>(&value);
    if (held == nullptr) continue;
    const auto& policy = **held;
    const bool applies =
        direction == PolicyDirection::Ingress ? policy.appliesToIngress : policy.appliesToEgress;
    if (policy.tier != tier.name || !applies || policy.doNotTrack || policy.preDnat) continue;
    if (api::policySelector(policy).matches(labels)) chosen.emplace_back(key.kind, *held);
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
    const auto rank = [](const auto& entry) {
      const auto& policy = *entry.second;
      return std::pair(policy.order.value_or(kLast), policy.name + '/' + policy.ns.str() + '/' +
                                                         std::string(api::kindText(entry.first)));
    };
    return rank(a) < rank(b);
  });
  std::vector<Shared<api::Policy>> out;
  out.reserve(chosen.size());
  for (const auto& entry : chosen) out.push_back(entry.second);
  return out;
}

enum class Outcome { Allow, Deny, Pass, NoMatch };

class EndpointEvaluation {
 public:
  EndpointEvaluation(const Objects& objects, const PacketView& packet,
                     const api::WorkloadEndpoint& endpoint, PolicyDirection direction,
                     std::vector<Stage>& stages)
      : objects_(objects),
        packet_(packet),
        endpoint_(endpoint),
        direction_(direction),
        stages_(stages) {}

  bool allowed() {
    const EndpointLabels labels(objects_, endpoint_);
    for (const auto& tier : sortedTiers(objects_)) {
      const auto policies = policiesOf(objects_, tier, direction_, labels);
      if (policies.empty()) continue;
      const auto outcome = tierOutcome(tier, policies);
      if (outcome == Outcome::Allow || outcome == Outcome::Deny) return outcome == Outcome::Allow;
    }
    return profilesAllow();
  }

 private:
  Outcome tierOutcome(const api::Tier& tier, const std::vector<Shared<api::Policy>>& policies) {
    for (const auto& policy : policies) {
      const auto& rules = direction_ == PolicyDirection::Ingress ? policy->ingress : policy->egress;
      const auto outcome = rulesOutcome(rules, policy->ns.view(), tier.name, policyName(*policy));
      if (outcome != Outcome::NoMatch) return outcome;
    }
    const bool deny = tier.defaultAction == api::TierDefault::Deny;
    record(tier.name, "", "end of tier", deny ? "Deny" : "Pass");
    return deny ? Outcome::Deny : Outcome::Pass;
  }

  bool profilesAllow() {
    static const std::vector<std::string> kNone;
    for (const auto& name : endpoint_.profiles ? *endpoint_.profiles : kNone) {
      const auto profile = profileNamed(objects_, name);
      if (!profile) continue;
      const auto& rules =
          direction_ == PolicyDirection::Ingress ? profile->ingress : profile->egress;
      const auto outcome = rulesOutcome(rules, "", "", "profile " + name);
      if (outcome == Outcome::Allow || outcome == Outcome::Deny) return outcome == Outcome::Allow;
    }
    record("", "", "no profile matched", "Deny");
    return false;
  }

  Outcome rulesOutcome(const std::vector<api::PolicyRule>& rules, std::string_view ns,
                       const std::string& tier, const std::string& policy) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (!packet_.matches(rules[i], ns)) continue;
      record(tier, policy, directionText() + '[' + std::to_string(i) + ']',
             std::string(actionText(rules[i].action)));
      stages_.back().ruleName = rules[i].name;
      switch (rules[i].action) {
        case api::RuleAction::Allow:
          return Outcome::Allow;
        case api::RuleAction::Deny:
          return Outcome::Deny;
        case api::RuleAction::Pass:
          return Outcome::Pass;
        case api::RuleAction::Log:
          break;
      }
    }
    return Outcome::NoMatch;
  }

  [[nodiscard]] std::string directionText() const {
    return direction_ == PolicyDirection::Ingress ? "ingress" : "egress";
  }

  void record(const std::string& tier, const std::string& policy, const std::string& rule,
              const std::string& action) {
    stages_.push_back({directionText(),
                       endpoint_.ns.str() + '/' + endpoint_.workload(),
                       tier,
                       policy,
                       rule,
                       action,
                       {}});
  }

  const Objects& objects_;
  const PacketView& packet_;
  const api::WorkloadEndpoint& endpoint_;
  PolicyDirection direction_;
  std::vector<Stage>& stages_;
};

}  // namespace

Shared<api::WorkloadEndpoint> workloadAt(const Objects& objects, const Address& address) {
  for (const auto& endpoint : all<api::WorkloadEndpoint>(objects)) {
    const auto& own = endpoint->addresses;
    if (std::find(own.begin(), own.end(), Prefix::host(address)) != own.end()) return endpoint;
  }
  return nullptr;
}

Verdict verdict(const Objects& objects, const Packet& packet, std::string_view node) {
  Verdict out;
  const PacketView view(objects, packet);
  const auto decidedHere = [&](const Address& address) {
    auto found = workloadAt(objects, address);
    return found && (node.empty() || found->node == node) ? found : nullptr;
  };
  const auto source = decidedHere(packet.source);
  const auto destination = decidedHere(packet.destination);
  out.allowed = true;
  if (source)
    out.allowed =
        EndpointEvaluation(objects, view, *source, PolicyDirection::Egress, out.stages).allowed();
  if (out.allowed && destination)
    out.allowed =
        EndpointEvaluation(objects, view, *destination, PolicyDirection::Ingress, out.stages)
            .allowed();
  return out;
}

}  // namespace margay::controllers
