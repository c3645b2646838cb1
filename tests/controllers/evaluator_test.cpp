#include "controllers/policy/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay::controllers {
namespace {

using api::Kind;
using api::PolicyRule;
using api::RuleAction;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address ip(const char* text) {
  return *Address::parse(text);
}

class Evaluator : public ::testing::Test {
 protected:
  Objects objects;  // but for policies
  std::map<api::ObjectKey, api::Policy> policies;

  void pod(const std::string& name, const char* address, api::LabelMap labels,
           const std::string& ns = "default") {
    api::WorkloadEndpoint endpoint;
    endpoint.ns = ns;
    endpoint.name = "n-k8s-" + name + "-eth0";
    endpoint.node = "n";
    endpoint.addresses = {Prefix::host(ip(address))};
    labels.emplace_back("projectcalico.org/namespace", ns);
    labels.emplace_back("projectcalico.org/orchestrator", "k8s");
    endpoint.labels = api::Labels(labels);
    endpoint.profiles = share(std::vector<std::string>{"kns." + ns});
    endpoint.ports = share(std::vector<api::EndpointPort>{{"http", 6, 8080}});
    objects[{Kind::WorkloadEndpoint, endpoint.ns, endpoint.name.str()}] = share(endpoint);
  }
  void profile(const std::string& name, api::LabelMap labels) {
    objects[{Kind::Profile, {}, name}] =
        share(api::Profile{name, api::Labels(std::move(labels)), {PolicyRule{}}, {PolicyRule{}}});
  }
  api::Policy& policy(const std::string& name, const std::string& ns = "default") {
    auto& made = policies[{ns.empty() ? Kind::GlobalNetworkPolicy : Kind::NetworkPolicy, ns, name}];
    made.ns = ns;
    made.name = name;
    made.appliesToIngress = true;
    return made;
  }
  void tier(const std::string& name, double order, api::TierDefault action) {
    objects[{Kind::Tier, {}, name}] = share(api::Tier{name, order, action});
  }
  [[nodiscard]] Objects all() const {
    Objects out = objects;
    for (const auto& [key, policy] : policies) out[key] = share(policy);
    return out;
  }
  [[nodiscard]] bool allowed(const char* from, const char* to, std::uint16_t port = 80,
                             std::uint8_t protocol = 6) const {
    return verdict(all(), {ip(from), ip(to), protocol, 40000, port}).allowed;
  }
  void SetUp() override {
    profile("kns.default", {{"pcns.team", "red"}});
    profile("kns.other", {{"pcns.team", "blue"}});
    pod("a", "10.0.0.1", {{"app", "a"}});
    pod("b", "10.0.0.2", {{"app", "b"}});
    pod("c", "10.0.0.3", {{"app", "a"}}, "other");
  }
};

TEST_F(Evaluator, ProfilesOfNamespacesAllowWhereNoPolicyApplies) {
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2"));
  EXPECT_TRUE(allowed("192.0.2.1", "10.0.0.2"));
}

TEST_F(Evaluator, AMissingProfileDenies) {
  objects.erase({Kind::Profile, {}, "kns.other"});
  const auto got = verdict(all(), {ip("10.0.0.1"), ip("10.0.0.3")});
  EXPECT_FALSE(got.allowed);
  EXPECT_EQ(got.stages.back(), (Stage{"ingress", "other/c", "", "", "no profile matched", "Deny"}));
}

TEST_F(Evaluator, ASelectedEndpointTakesOnlyWhatARuleAllows) {
  auto& allow = policy("allow-a");
  allow.selector = "app == 'b'";
  PolicyRule rule;
  rule.protocol = 6;
  rule.source.selector = "app == 'a'";
  rule.destination.ports = {{{80, 90}, ""}};
  allow.ingress = {rule};
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2", 85));
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", 91));
  EXPECT_FALSE(allowed("10.0.0.3", "10.0.0.2", 85))
      << "the selector stays within the policy's namespace";
  EXPECT_TRUE(allowed("10.0.0.2", "10.0.0.1", 85)) << "a is not selected";
  const auto got = verdict(all(), {ip("10.0.0.1"), ip("10.0.0.2"), 6, 1, 85});
  EXPECT_THAT(
      got.stages,
      ElementsAre(
          Stage{"egress", "default/a", "", "profile kns.default", "egress[0]", "Allow"},
          Stage{"ingress", "default/b", "default", "default/allow-a", "ingress[0]", "Allow"}));
}

TEST_F(Evaluator, AdminTierComesFirstBaselineLastAndBothPassWhatTheyDoNotDecide) {
  const auto add = [&](const char* name, const char* tier, RuleAction action, std::uint16_t port) {
    auto& made = policy(name, "");
    made.tier = tier;
    PolicyRule rule;
    rule.action = action;
    rule.protocol = 6;
    rule.name = std::string("of ") + name;
    rule.destination.ports = {{{port, port}, ""}};
    made.ingress = {rule};
  };
  add("admin-deny", "kube-admin", RuleAction::Deny, 81);
  add("baseline-deny", "kube-baseline", RuleAction::Deny, 82);
  add("older-deny", "baselineadminnetworkpolicy", RuleAction::Deny, 83);
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2", 80)) << "no tier decides, the profile allows";
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{81, 82, 83})
    EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", port)) << port;
  policy("allow-all").ingress = {PolicyRule{}};
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", 81));
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2", 82)) << "decided before the baseline";
  const auto got = verdict(all(), {ip("10.0.0.1"), ip("10.0.0.2"), 6, 1, 81});
  EXPECT_EQ(got.stages.back(), (Stage{"ingress", "default/b", "kube-admin", "admin-deny",
                                      "ingress[0]", "Deny", "of admin-deny"}));
}

TEST_F(Evaluator, NamespaceSelectorsReadTheLabelsOfNamespaces) {
  auto& allow = policy("allow-blue");
  PolicyRule rule;
  rule.source.namespaceSelector = "team == 'blue'";
  allow.ingress = {rule};
  EXPECT_TRUE(allowed("10.0.0.3", "10.0.0.2"));
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2"));
}

TEST_F(Evaluator, NamedPortsAreThoseOfTheDestination) {
  auto& allow = policy("allow-http");
  PolicyRule rule;
  rule.protocol = 6;
  rule.destination.ports = {{{}, "http"}};
  allow.ingress = {rule};
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2", 8080));
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", 80));
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", 8080, 17));
}

TEST_F(Evaluator, TiersComeInOrderAndPassGoesToTheNext) {
  tier("first", 1, api::TierDefault::Deny);
  auto& pass = policy("p", "");
  pass.tier = "first";
  PolicyRule rule;
  rule.action = RuleAction::Pass;
  rule.source.nets = {*Prefix::parseNetwork("10.0.0.1/32")};
  pass.ingress = {rule};
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2")) << "passed to the profile";
  EXPECT_FALSE(allowed("10.0.0.3", "10.0.0.2")) << "the tier applied and denies at its end";
  tier("first", 1, api::TierDefault::Pass);
  EXPECT_TRUE(allowed("10.0.0.3", "10.0.0.2"));
}

TEST_F(Evaluator, PoliciesOfATierThatDoesNotExistApplyAfterAllOthersAndDenyAtItsEnd) {
  auto& last = policy("p", "");
  last.tier = "missing";
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2"));
  auto& before = policy("q", "");
  PolicyRule pass;
  pass.action = RuleAction::Pass;
  PolicyRule allow;
  allow.source.nets = {*Prefix::parseNetwork("10.0.0.3/32")};
  before.ingress = {allow, pass};
  EXPECT_TRUE(allowed("10.0.0.3", "10.0.0.2")) << "the default tier comes first";
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2")) << "passed on to the tier that does not exist";
}

TEST_F(Evaluator, LowerOrderComesFirstAndLogGoesOn) {
  auto& deny = policy("a-deny");
  deny.order = 20;
  deny.ingress = {PolicyRule{RuleAction::Deny}};
  auto& allow = policy("z-allow");
  allow.order = 10;
  allow.ingress = {PolicyRule{RuleAction::Log}, PolicyRule{}};
  const auto got = verdict(all(), {ip("192.0.2.1"), ip("10.0.0.2")});
  EXPECT_TRUE(got.allowed);
  ASSERT_EQ(got.stages.size(), 2U);
  EXPECT_EQ(got.stages[0].action, "Log");
  EXPECT_EQ(got.stages[1].policy, "default/z-allow");
}

TEST_F(Evaluator, NegationsAndIcmp) {
  auto& allow = policy("icmp", "");
  PolicyRule rule;
  rule.protocol = 1;
  rule.icmp = api::IcmpFields{8, {}};
  rule.source.notSelector = "app == 'b'";
  rule.source.notNets = {*Prefix::parseNetwork("192.0.2.0/24")};
  allow.ingress = {rule};
  const auto ping = [&](const char* from, std::uint8_t type) {
    return verdict(all(), {ip(from), ip("10.0.0.1"), 1, 0, 0, type, 0}).allowed;
  };
  EXPECT_TRUE(ping("198.51.100.1", 8));
  EXPECT_FALSE(ping("198.51.100.1", 0));
  EXPECT_FALSE(ping("10.0.0.2", 8));
  EXPECT_FALSE(ping("192.0.2.7", 8));
}

TEST_F(Evaluator, ServicesMatchAddressAndPort) {
  api::EndpointSlice slice{"default", "web-1", "web", {ip("10.0.0.2")}, {{"", 6, 8080}}};
  objects[{Kind::EndpointSlice, "default", "web-1"}] = share(slice);
  auto& egress = policy("to-web");
  egress.selector = "app == 'a'";
  egress.appliesToIngress = false;
  egress.appliesToEgress = true;
  PolicyRule rule;
  rule.destination.services = api::ServiceRef{"default", "web"};
  egress.egress = {rule};
  EXPECT_TRUE(allowed("10.0.0.1", "10.0.0.2", 8080));
  EXPECT_FALSE(allowed("10.0.0.1", "10.0.0.2", 80));
  EXPECT_FALSE(allowed("10.0.0.1", "192.0.2.1", 8080));
}

TEST_F(Evaluator, AddressesThatBelongToNobodyHaveNoPolicy) {
  const auto got = verdict(all(), {ip("192.0.2.1"), ip("192.0.2.2")});
  EXPECT_TRUE(got.allowed);
  EXPECT_THAT(got.stages, IsEmpty());
}

}  // namespace
}  // namespace margay::controllers
