#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/codec/calico_encode.h"
#include "api/codec/document_reader.h"
#include "api/codec/kubernetes_convert.h"
#include "api/codec/kubernetes_decode.h"

namespace margay::api {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Got {
  Shared<Policy> policy;
  std::vector<std::string> errors;  ///< fields
  std::vector<std::string> reasons;
  ObjectKey key;
};

Got convert(const std::string& version, const std::string& kind, const std::string& name,
            const std::string& spec) {
  Got out;
  const auto text = "apiVersion: policy.networking.k8s.io/" + version + "\nkind: " + kind +
                    "\nmetadata: {name: " + name + "}\nspec: " + spec;
  const auto problem = readYaml(text, {}, [&](const DocumentPlace&, json& document) {
    KubernetesDecoder decoder;
    const auto decoded = decoder.decode(document);
    out.key = decoded.key;
    if (decoded.value) out.policy = std::get<Shared<Policy>>(*decoded.value);
    for (const auto& error : decoded.errors) {
      out.errors.push_back(error.field);
      out.reasons.push_back(error.reason);
    }
  });
  EXPECT_FALSE(problem) << (problem ? problem->str() : "");
  return out;
}
Got cluster(const std::string& spec) {
  return convert("v1alpha2", "ClusterNetworkPolicy", "p", spec);
}
/// A policy of all pods with these rules.
Got admin(const std::string& rules) {
  return cluster("{tier: Admin, priority: 7, subject: {namespaces: {}}, " + rules + "}");
}
Got older(const std::string& rules) {
  return convert("v1alpha1", "AdminNetworkPolicy", "p",
                 "{priority: 7, subject: {namespaces: {}}, " + rules + "}");
}
Got baseline(const std::string& rules) {
  return convert("v1alpha1", "BaselineAdminNetworkPolicy", "default",
                 "{subject: {namespaces: {}}, " + rules + "}");
}
Port number(std::uint16_t first, std::uint16_t last = 0) {
  return {{first, last == 0 ? first : last}, {}};
}
Port named(const std::string& name) {
  return {{}, name};
}

constexpr const char* kPods = "projectcalico.org/orchestrator == 'k8s'";

TEST(KubernetesClusterPolicy, IsAGlobalPolicyOfItsTierWithThePriorityAsOrder) {
  const auto first = cluster(
      "{tier: Admin, priority: 30, subject: {namespaces: {matchLabels: {team: red}}}, ingress: "
      "[{name: no-web, action: Deny, from: [{namespaces: {}}]}]}");
  ASSERT_TRUE(first.policy) << ::testing::PrintToString(first.errors);
  EXPECT_EQ(first.key, (ObjectKey{Kind::ClusterNetworkPolicy, {}, "p"}));
  EXPECT_EQ(first.policy->name, "p");
  EXPECT_EQ(first.policy->ns.str(), "");
  EXPECT_EQ(first.policy->tier, "kube-admin");
  EXPECT_EQ(first.policy->order, 30);
  EXPECT_EQ(first.policy->selector, kPods);
  EXPECT_EQ(first.policy->namespaceSelector, "team == 'red'");
  ASSERT_THAT(first.policy->ingress, SizeIs(1));
  EXPECT_EQ(first.policy->ingress[0].name, "no-web");
  EXPECT_EQ(first.policy->ingress[0].action, RuleAction::Deny);

  const auto last = convert("v1beta1", "ClusterNetworkPolicy", "p",
                            "{tier: Baseline, priority: 1000, subject: {namespaces: {}}}");
  ASSERT_TRUE(last.policy) << ::testing::PrintToString(last.errors);
  EXPECT_EQ(last.policy->tier, "kube-baseline");
  EXPECT_EQ(last.policy->order, 1000);
  EXPECT_EQ(last.policy->namespaceSelector, "all()");
}

TEST(KubernetesClusterPolicy, OlderKindsHaveTiersOfTheirOwn) {
  const auto first = older("ingress: [{action: Pass, from: [{namespaces: {}}]}]");
  ASSERT_TRUE(first.policy) << ::testing::PrintToString(first.errors);
  EXPECT_EQ(first.key, (ObjectKey{Kind::AdminNetworkPolicy, {}, "p"}));
  EXPECT_EQ(first.policy->tier, "adminnetworkpolicy");
  EXPECT_EQ(first.policy->order, 7);
  EXPECT_EQ(first.policy->ingress.at(0).action, RuleAction::Pass);

  const auto last = baseline("egress: [{action: Allow, to: [{namespaces: {}}]}]");
  ASSERT_TRUE(last.policy) << ::testing::PrintToString(last.errors);
  EXPECT_EQ(last.key, (ObjectKey{Kind::BaselineAdminNetworkPolicy, {}, "default"}));
  EXPECT_EQ(last.policy->tier, "baselineadminnetworkpolicy");
  EXPECT_EQ(last.policy->egress.at(0).action, RuleAction::Allow);
}

TEST(KubernetesClusterPolicy, AppliesOnlyWhereItHasRules) {
  EXPECT_FALSE(admin("ingress: []").policy->appliesToIngress);
  const auto in = admin("ingress: [{action: Accept, from: [{namespaces: {}}]}]");
  EXPECT_TRUE(in.policy->appliesToIngress);
  EXPECT_FALSE(in.policy->appliesToEgress);
  const auto out = admin("egress: [{action: Accept, to: [{namespaces: {}}]}]");
  EXPECT_FALSE(out.policy->appliesToIngress);
  EXPECT_TRUE(out.policy->appliesToEgress);
}

TEST(KubernetesClusterPolicy, SubjectsAndPeersAreNamespacesOrPods) {
  const auto got = cluster(
      "{tier: Admin, priority: 0, subject: {pods: {namespaceSelector: {matchLabels: {team: red}}, "
      "podSelector: {matchLabels: {app: web}}}}, ingress: [{action: Accept, from: [{pods: "
      "{namespaceSelector: {}, podSelector: {matchExpressions: [{key: app, operator: Exists}]}}}, "
      "{pods: {podSelector: {}}}, {namespaces: {matchLabels: {team: blue}}}]}]}");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  EXPECT_EQ(got.policy->selector, std::string(kPods) + " && app == 'web'");
  EXPECT_EQ(got.policy->namespaceSelector, "team == 'red'");
  ASSERT_THAT(got.policy->ingress, SizeIs(3));
  const auto& rules = got.policy->ingress;
  EXPECT_EQ(rules[0].source.selector, std::string(kPods) + " && has(app)");
  EXPECT_EQ(rules[0].source.namespaceSelector, "all()");
  EXPECT_EQ(rules[1].source.selector, kPods);
  EXPECT_EQ(rules[1].source.namespaceSelector, "all()");
  EXPECT_EQ(rules[2].source.selector, "");
  EXPECT_EQ(rules[2].source.namespaceSelector, "team == 'blue'");
  EXPECT_FALSE(rules[2].protocol);
}

TEST(KubernetesClusterPolicy, NetworksArePeersOfEgress) {
  const auto got = admin("egress: [{action: Deny, to: [{networks: [10.1.2.3/8, 'fd00::/8']}]}]");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  EXPECT_THAT(got.policy->egress.at(0).destination.nets,
              ElementsAre(*Prefix::parseNetwork("10.0.0.0/8"), *Prefix::parseNetwork("fd00::/8")));
  EXPECT_THAT(admin("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]").errors,
              ElementsAre("spec.ingress[0].from[0].networks"));
}

TEST(KubernetesClusterPolicy, ProtocolsMakeARuleEach) {
  const auto got = admin(
      "ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{udp: {destinationPort: "
      "{number: 53}}}, {tcp: {destinationPort: {range: {start: 80, end: 90}}}}, {tcp: "
      "{destinationPort: {number: 91}}}, {sctp: {destinationPort: {number: 9}}}]}]");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  ASSERT_THAT(got.policy->ingress, SizeIs(3));
  const auto& rules = got.policy->ingress;
  EXPECT_EQ(rules[0].protocol, 132);
  EXPECT_THAT(rules[0].destination.ports, ElementsAre(number(9)));
  EXPECT_EQ(rules[1].protocol, 6);
  EXPECT_THAT(rules[1].destination.ports, ElementsAre(number(80, 91)));
  EXPECT_EQ(rules[2].protocol, 17);
  EXPECT_THAT(rules[2].destination.ports, ElementsAre(number(53)));
}

TEST(KubernetesClusterPolicy, PortsOfTheOlderKindsMakeTheSameRules) {
  const auto got = older(
      "ingress: [{action: Allow, from: [{namespaces: {}}], ports: [{portNumber: {protocol: UDP, "
      "port: 53}}, {portRange: {start: 80, end: 90}}, {portNumber: {port: 91}}]}]");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  ASSERT_THAT(got.policy->ingress, SizeIs(2));
  EXPECT_EQ(got.policy->ingress[0].protocol, 6);
  EXPECT_THAT(got.policy->ingress[0].destination.ports, ElementsAre(number(80, 91)));
  EXPECT_EQ(got.policy->ingress[1].protocol, 17);
}

TEST(KubernetesClusterPolicy, NamedPortIsOfEachProtocol) {
  const auto rule = std::string("[{action: Accept, from: [{namespaces: {}}], protocols: [");
  const auto got = admin("ingress: " + rule +
                         "{destinationNamedPort: http}, {tcp: {destinationPort: {number: 80}}}]}]");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  ASSERT_THAT(got.policy->ingress, SizeIs(3));
  EXPECT_EQ(got.policy->ingress[0].protocol, 132);
  EXPECT_THAT(got.policy->ingress[0].destination.ports, ElementsAre(named("http")));
  EXPECT_EQ(got.policy->ingress[1].protocol, 6);
  EXPECT_THAT(got.policy->ingress[1].destination.ports, ElementsAre(named("http"), number(80)));
  EXPECT_EQ(got.policy->ingress[2].protocol, 17);
  EXPECT_THAT(older("egress: [{action: Allow, to: [{namespaces: {}}], ports: [{namedPort: http}]}]")
                  .policy->egress,
              SizeIs(3));
  EXPECT_THAT(admin("egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: "
                    "[{destinationNamedPort: http}]}]")
                  .errors,
              ElementsAre("spec.egress[0].protocols"));
}

TEST(KubernetesClusterPolicy, RuleThatIsNotUnderstoodFailsClosed) {
  const auto got = admin(
      "egress: [{action: Accept, to: [{domainNames: [example.org]}]}, {name: d, action: Deny, to: "
      "[{nodes: {}}]}, {action: Pass, to: [{}]}, {action: Accept, to: [{namespaces: {}}]}]");
  ASSERT_TRUE(got.policy);
  ASSERT_THAT(got.policy->egress, SizeIs(3));
  PolicyRule deny;
  deny.action = RuleAction::Deny;
  EXPECT_EQ(got.policy->egress[1], deny);
  deny.name = "d";
  EXPECT_EQ(got.policy->egress[0], deny);
  EXPECT_EQ(got.policy->egress[2].action, RuleAction::Allow);
  EXPECT_THAT(got.errors, ElementsAre("spec.egress[0].to[0].domainNames",
                                      "spec.egress[1].to[0].nodes", "spec.egress[2].to[0]"));
  EXPECT_THAT(got.reasons[0],
              AllOf(HasSubstr("write networks"), EndsWith("; the rule is left out")));
  EXPECT_THAT(got.reasons[1], EndsWith("; the rule denies everything until then"));
}

TEST(KubernetesClusterPolicy, RuleOfUnknownActionIsLeftOut) {
  for (const char* action : {"Allow", "Log", "''"}) {
    const auto got =
        admin("ingress: [{action: " + std::string(action) + ", from: [{namespaces: {}}]}]");
    EXPECT_THAT(got.policy->ingress, IsEmpty());
    EXPECT_FALSE(got.policy->appliesToIngress);
    EXPECT_THAT(got.errors, ElementsAre("spec.ingress[0].action"));
  }
  EXPECT_THAT(older("ingress: [{action: Accept, from: [{namespaces: {}}]}]").errors, SizeIs(1));
  EXPECT_THAT(baseline("ingress: [{action: Pass, from: [{namespaces: {}}]}]").errors, SizeIs(1));
}

TEST(KubernetesClusterPolicy, NamesWhatIsWrongWithARule) {
  const auto fields = [](const std::string& rest) {
    return admin("ingress: [{action: Deny, " + rest + "}]").errors;
  };
  const auto port = [&](const std::string& text) {
    return fields("from: [{namespaces: {}}], protocols: [" + text + "]");
  };
  const std::string rule = "spec.ingress[0]";
  EXPECT_THAT(fields("from: []"), ElementsAre(rule + ".from"));
  EXPECT_THAT(fields("to: [{namespaces: {}}]"), SizeIs(2));
  EXPECT_THAT(fields("from: [{namespaces: {}, pods: {podSelector: {}}}]"),
              ElementsAre(rule + ".from[0]"));
  EXPECT_THAT(fields("from: [{pods: {namespaceSelector: {}}}]"),
              ElementsAre(rule + ".from[0].pods.podSelector"));
  EXPECT_THAT(fields("from: [{namespaces: {matchLabels: {a: '-'}}}]"),
              ElementsAre(rule + ".from[0].namespaces.matchLabels"));
  EXPECT_THAT(port("{}"), ElementsAre(rule + ".protocols[0]"));
  EXPECT_THAT(port("{tcp: {}}"), ElementsAre(rule + ".protocols[0].tcp"));
  EXPECT_THAT(port("{icmp: {}}"), ElementsAre(rule + ".protocols[0].icmp"));
  EXPECT_THAT(port("{tcp: {destinationPort: {number: 0}}}"),
              ElementsAre(rule + ".protocols[0].tcp.destinationPort.number"));
  EXPECT_THAT(port("{tcp: {destinationPort: {range: {start: 9, end: 8}}}}"),
              ElementsAre(rule + ".protocols[0].tcp.destinationPort.range.end"));
  EXPECT_THAT(port("{tcp: {destinationPort: {number: 1, range: {start: 9, end: 10}}}}"),
              ElementsAre(rule + ".protocols[0].tcp.destinationPort"));
  EXPECT_THAT(port("{destinationNamedPort: '80'}"),
              ElementsAre(rule + ".protocols[0].destinationNamedPort"));
  EXPECT_THAT(admin("egress: [{action: Deny, to: [{networks: [10.0.0.1]}]}]").errors,
              ElementsAre("spec.egress[0].to[0].networks[0]"));
}

TEST(KubernetesClusterPolicy, WithoutPlaceOrSubjectItIsNotInForce) {
  const auto bad = [](const std::string& spec, const std::string& field) {
    const auto got = cluster(spec);
    EXPECT_FALSE(got.policy) << spec;
    EXPECT_THAT(got.errors, ElementsAre(field)) << spec;
  };
  bad("{priority: 1, subject: {namespaces: {}}}", "spec.tier");
  bad("{tier: Default, priority: 1, subject: {namespaces: {}}}", "spec.tier");
  bad("{tier: Admin, subject: {namespaces: {}}}", "spec.priority");
  bad("{tier: Admin, priority: 1001, subject: {namespaces: {}}}", "spec.priority");
  bad("{tier: Admin, priority: 1}", "spec.subject");
  bad("{tier: Admin, priority: 1, subject: {}}", "spec.subject");
  bad("{tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {'': x}}}}",
      "spec.subject.namespaces.matchLabels");
  bad("null", "spec");
  const auto second =
      convert("v1alpha1", "BaselineAdminNetworkPolicy", "other", "{subject: {namespaces: {}}}");
  EXPECT_FALSE(second.policy);
  EXPECT_THAT(second.errors, ElementsAre("metadata.name"));
  const auto extra = cluster("{tier: Admin, priority: 1, subject: {namespaces: {}}, rules: []}");
  EXPECT_TRUE(extra.policy);
  EXPECT_THAT(extra.errors, ElementsAre("spec.rules"));
}

TEST(KubernetesClusterPolicy, ConvertsToAGlobalNetworkPolicyUnderItsName) {
  const auto got = convertKubernetes(
      "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: "
      "guard, namespace: ignored}\nspec: {tier: Admin, priority: 5, subject: {namespaces: {}}, "
      "ingress: [{name: metrics, action: Accept, from: [{namespaces: {matchLabels: {a: b}}}], "
      "protocols: [{tcp: {destinationPort: {number: 9090}}}]}]}");
  ASSERT_TRUE(got) << got.error().what;
  ASSERT_THAT(got->objects, SizeIs(1));
  EXPECT_EQ(got->objects[0], nlohmann::ordered_json::parse(R"json({
    "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
    "metadata": {"name": "guard"},
    "spec": {"tier": "kube-admin", "order": 5,
             "selector": "projectcalico.org/orchestrator == 'k8s'", "namespaceSelector": "all()",
             "types": ["Ingress"],
             "ingress": [{"action": "Allow", "metadata": {"annotations": {"name": "metrics"}},
                          "protocol": "TCP", "source": {"namespaceSelector": "a == 'b'"},
                          "destination": {"ports": [9090]}}]}})json"));
  EXPECT_THAT(got->warnings, IsEmpty());
}

}  // namespace
}  // namespace margay::api
