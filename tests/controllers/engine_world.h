#pragma once

#include <array>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/controllers/builders.h"

namespace margay::controllers {

/// Updates at random in a world so small that things meet: names, labels and addresses repeat,
/// objects refer to what is not there, and half of what is written was there before.
class RandomWorld {
 public:
  explicit RandomWorld(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  bool chance(std::size_t oneIn) { return below(oneIn) == 0; }
  std::mt19937& random() { return random_; }

  api::Update update() {
    auto put = value();
    if (chance(4)) put.value.reset();
    return put;
  }

 private:
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

  api::Update value() {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        return test::put(endpoint());
      case 3:
        return test::put(profile());
      case 4:
        return test::put(test::tier(pick(tiers_), order(),
                                    chance(2) ? api::TierDefault::Pass : api::TierDefault::Deny));
      case 5:
        return test::put(networkSet());
      case 6:
        return test::put(slice());
      default:
        return kubernetes(test::put(policy()));
    }
  }

  /// Now and then a global policy is of a kind of Kubernetes: several kinds share names.
  api::Update kubernetes(api::Update put) {
    if (put.key.kind == api::Kind::GlobalNetworkPolicy && chance(2))
      put.key.kind =
          pick<api::Kind>({api::Kind::ClusterNetworkPolicy, api::Kind::AdminNetworkPolicy,
                           api::Kind::BaselineAdminNetworkPolicy});
    return put;
  }

  std::optional<double> order() {
    if (chance(3)) return std::nullopt;
    return static_cast<double>(below(3));
  }

  api::LabelMap labels() {
    api::LabelMap out;
    for (const char* key : {"app", "role", "pcns.team"}) {
      if (chance(2)) out.emplace_back(key, pick(values_));
    }
    return out;
  }

  api::WorkloadEndpoint endpoint() {
    test::PodSpec spec;
    spec.ns = pick(namespaces_);
    spec.name = pick<std::string>({"p1", "p2", "p3", "p4"});
    spec.labels = labels();
    const auto count = below(3);
    for (std::size_t i = 0; i < count; ++i) spec.addresses.push_back(pick(addresses_));
    if (chance(2))
      spec.ports = {{"http", 6, static_cast<std::uint16_t>(80 + below(2))}, {"dns", 17, 53}};
    std::vector<std::string> profiles{"kns." + spec.ns};
    if (chance(2)) profiles.push_back(pick(profiles_));
    if (chance(4)) profiles.clear();
    spec.profiles = profiles;
    auto out = test::pod(std::move(spec));
    out.node = chance(2) ? "n1" : "n2";  // one name on both: pods move
    return out;
  }

  api::Profile profile() {
    api::LabelMap applied;
    for (const char* key : {"app", "pcns.team"}) {
      if (chance(2)) applied.emplace_back(key, pick(values_));
    }
    return {pick(profiles_), api::Labels(std::move(applied)), rules(), rules()};
  }

  api::NetworkSet networkSet() {
    std::vector<std::string> nets;
    const auto count = below(3);
    for (std::size_t i = 0; i < count; ++i)
      nets.push_back(
          pick<std::string>({"0.0.0.0/0", "0.0.0.0/1", "10.0.0.1/32", "192.0.2.0/24", "::/0"}));
    return test::networkSet(chance(2) ? "" : pick(namespaces_), pick<std::string>({"s1", "s2"}),
                            labels(), nets);
  }

  api::EndpointSlice slice() {
    api::EndpointSlice out{pick(namespaces_),
                           pick<std::string>({"e1", "e2"}),
                           pick<std::string>({"web", "db"}),
                           {},
                           {}};
    for (const char* text : {"10.0.0.1", "10.0.0.2", "fd00::1"}) {
      if (chance(2)) out.addresses.push_back(test::ip(text));
    }
    if (chance(2)) out.ports.push_back({"", 6, static_cast<std::uint16_t>(80 + below(2))});
    if (chance(2)) out.ports.push_back({"d", 17, 53});
    return out;
  }

  api::EntityRule end() {
    api::EntityRule out;
    if (chance(2)) out.selector = pick(selectors_);
    if (chance(5)) out.notSelector = pick(selectors_);
    if (chance(4)) out.namespaceSelector = pick<std::string>({"team == 'u'", "all()", "has(team)"});
    if (chance(4)) out.nets = {test::net("10.0.0.0/8")};
    if (chance(3)) out.ports.push_back({{}, pick<std::string>({"http", "dns"})});
    if (chance(4)) out.ports.push_back({{80, 90}, ""});
    if (chance(6)) out.notPorts.push_back({{}, "http"});
    if (chance(6))
      out.services = api::ServiceRef{pick(namespaces_), pick<std::string>({"web", "db"})};
    return out;
  }

  std::vector<api::PolicyRule> rules() {
    std::vector<api::PolicyRule> out;
    const auto count = below(3);
    for (std::size_t i = 0; i < count; ++i) {
      api::PolicyRule rule;
      rule.action = pick<api::RuleAction>({api::RuleAction::Allow, api::RuleAction::Deny,
                                           api::RuleAction::Pass, api::RuleAction::Log});
      if (chance(3)) rule.protocol = chance(2) ? std::uint8_t{6} : std::uint8_t{17};
      if (!chance(3)) rule.source = end();
      if (chance(2)) rule.destination = end();
      out.push_back(std::move(rule));
    }
    return out;
  }

  api::Policy policy() {
    auto out = test::policy(chance(3) ? "" : pick(namespaces_),
                            pick<std::string>({"p", "p-1", "q"}), pick(selectors_), rules());
    out.egress = rules();
    out.tier = pick(tiers_);
    out.order = order();
    out.appliesToIngress = chance(2);
    out.appliesToEgress = !out.appliesToIngress || chance(2);
    if (out.ns.empty() && chance(2))
      out.namespaceSelector = pick<std::string>({"has(team)", "all()"});
    out.doNotTrack = chance(10);
    out.preDnat = chance(10);
    return out;
  }

  std::mt19937 random_;
  std::vector<std::string> namespaces_{"a", "b"};
  std::vector<std::string> values_{"u", "v"};
  std::vector<std::string> tiers_{"default",           "t1", "t2", "kube-admin", "kube-baseline",
                                  "adminnetworkpolicy"};
  std::vector<std::string> profiles_{"kns.a", "kns.b", "extra", "projectcalico-default-allow"};
  std::vector<std::string> addresses_{"10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2"};
  std::vector<std::string> selectors_{"",
                                      "all()",
                                      "app == 'u'",
                                      "app == 'v' && has(role)",
                                      "app in {'u', 'v'}",
                                      "app == 'u' || role == 'v'",
                                      "!has(app)",
                                      "role != 'u'",
                                      "pcns.team == 'u'",
                                      "has(pcns.team)",
                                      "app == 'u' && app == 'v'",
                                      "app starts with 'u'"};
};

}  // namespace margay::controllers
