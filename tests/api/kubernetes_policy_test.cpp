#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/codec/document_reader.h"
#include "api/codec/kubernetes_decode.h"

namespace margay::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Got {
  Shared<Policy> policy;
  std::vector<std::string> errors;
};

/// A policy "p" in "shop" whose spec is this YAML.
Got convert(const std::string& spec) {
  Got out;
  std::string text =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: "
      "shop}\nspec: " +
      spec;
  const auto problem = readYaml(text, {}, [&](const DocumentPlace&, json& document) {
    KubernetesDecoder decoder;
    const auto decoded = decoder.decode(document);
    if (decoded.value) out.policy = std::get<Shared<Policy>>(*decoded.value);
    for (const auto& error : decoded.errors) out.errors.push_back(error.field);
  });
  EXPECT_FALSE(problem) << (problem ? problem->str() : "");
  return out;
}
Port number(std::uint16_t first, std::uint16_t last = 0) {
  return {{first, last == 0 ? first : last}, {}};
}
Port named(const std::string& name) {
  return {{}, name};
}

TEST(KubernetesPolicy, HasOrderAndSelectorOfCalicosConversion) {
  const auto got = convert("{podSelector: {matchLabels: {b: z, a: x}}}");
  ASSERT_TRUE(got.policy) << ::testing::PrintToString(got.errors);
  EXPECT_EQ(got.policy->name, "p");
  EXPECT_EQ(got.policy->ns.str(), "shop");
  EXPECT_EQ(got.policy->tier, "default");
  EXPECT_EQ(got.policy->order, 1000);
  EXPECT_EQ(got.policy->selector,
            "projectcalico.org/orchestrator == 'k8s' && a == 'x' && b == 'z'");
  EXPECT_TRUE(got.policy->appliesToIngress);
  EXPECT_FALSE(got.policy->appliesToEgress);
}

TEST(KubernetesPolicy, WritesEachMatchExpression) {
  const auto got = convert(
      "{podSelector: {matchExpressions: [{key: a, operator: In, values: [x, w]}, {key: b, "
      "operator: NotIn, values: [z]},"
      "{key: c, operator: Exists}, {key: d, operator: DoesNotExist}]}}");
  EXPECT_EQ(got.policy->selector,
            "projectcalico.org/orchestrator == 'k8s' && a in { 'x', 'w' } && b not in { 'z' } && "
            "has(c) && ! has(d)");
}

TEST(KubernetesPolicy, TakesTypesAsTheApiServerSetsThem) {
  EXPECT_TRUE(convert("{policyTypes: [Egress]}").policy->appliesToEgress);
  EXPECT_FALSE(convert("{policyTypes: [Egress]}").policy->appliesToIngress);
  EXPECT_TRUE(convert("{egress: [{}]}").policy->appliesToIngress);
  EXPECT_TRUE(convert("{egress: [{}]}").policy->appliesToEgress);
  EXPECT_FALSE(convert("{policyTypes: [Ingress], egress: [{}]}").policy->appliesToEgress);
  EXPECT_THAT(convert("{policyTypes: [Ingres]}").errors, ElementsAre("spec.policyTypes[0]"));
}

TEST(KubernetesPolicy, AnEmptyRuleAllowsAllAndNoRuleNothing) {
  EXPECT_THAT(convert("{podSelector: {}}").policy->ingress, IsEmpty());
  EXPECT_THAT(convert("{ingress: []}").policy->ingress, IsEmpty());
  for (const char* rule : {"{}", "{from: [], ports: []}", "{from: null}"}) {
    EXPECT_THAT(convert(std::string("{ingress: [") + rule + "]}").policy->ingress,
                ElementsAre(PolicyRule{}))
        << rule;
  }
}

TEST(KubernetesPolicy, MakesARuleForEachProtocolAndPeer) {
  const auto got = convert(
      "{ingress: [{from: [{podSelector: {matchLabels: {a: x}}}, {namespaceSelector: {matchLabels: "
      "{t: z}}}],"
      " ports: [{protocol: UDP, port: 53}, {port: 443}, {port: web}, {port: 80}, {port: 81}]}]}");
  ASSERT_THAT(got.policy->ingress, SizeIs(4));
  const auto& rules = got.policy->ingress;
  EXPECT_EQ(rules[0].protocol, 6);
  EXPECT_EQ(rules[0].source.selector, "projectcalico.org/orchestrator == 'k8s' && a == 'x'");
  EXPECT_EQ(rules[0].source.namespaceSelector, "");
  EXPECT_THAT(rules[0].destination.ports, ElementsAre(named("web"), number(80, 81), number(443)));
  EXPECT_EQ(rules[1].source.selector, "projectcalico.org/orchestrator == 'k8s'");
  EXPECT_EQ(rules[1].source.namespaceSelector, "t == 'z'");
  EXPECT_EQ(rules[2].protocol, 17);
  EXPECT_THAT(rules[3].destination.ports, ElementsAre(number(53)));
}

TEST(KubernetesPolicy, EmptySelectorsMeanAll) {
  const auto got = convert(
      "{egress: [{to: [{namespaceSelector: {}}, {podSelector: {}}, {podSelector: {}, "
      "namespaceSelector: {}}]}]}");
  ASSERT_THAT(got.policy->egress, SizeIs(3));
  EXPECT_EQ(got.policy->egress[0].destination.namespaceSelector, "all()");
  EXPECT_EQ(got.policy->egress[1].destination.namespaceSelector, "");
  EXPECT_EQ(got.policy->egress[1].destination.selector, "projectcalico.org/orchestrator == 'k8s'");
  EXPECT_EQ(got.policy->egress[2].destination.namespaceSelector, "all()");
  EXPECT_FALSE(got.policy->egress[0].protocol);
}

TEST(KubernetesPolicy, AnEntryWithoutPortMeansAllPortsOfItsProtocol) {
  const auto got =
      convert("{ingress: [{ports: [{port: 80}, {}]}], egress: [{ports: [{protocol: SCTP}]}]}");
  ASSERT_THAT(got.policy->ingress, SizeIs(1));
  EXPECT_EQ(got.policy->ingress[0].protocol, 6);
  EXPECT_THAT(got.policy->ingress[0].destination.ports, IsEmpty());
  EXPECT_EQ(got.policy->egress[0].protocol, 132);
}

TEST(KubernetesPolicy, ConvertsBlocksAndRanges) {
  const auto got = convert(
      "{egress: [{to: [{ipBlock: {cidr: 10.0.0.7/8, except: [10.1.0.0/16]}}], ports: [{port: 8000, "
      "endPort: 9000}, {port: 9001}]}]}");
  ASSERT_THAT(got.policy->egress, SizeIs(1));
  const auto& to = got.policy->egress[0].destination;
  EXPECT_THAT(to.nets, ElementsAre(*Prefix::parseNetwork("10.0.0.0/8")));
  EXPECT_THAT(to.notNets, ElementsAre(*Prefix::parseNetwork("10.1.0.0/16")));
  EXPECT_THAT(to.ports, ElementsAre(number(8000, 9001)));
  EXPECT_EQ(to.selector, "");
}

TEST(KubernetesPolicy, LeavesOutOnlyTheRulesThatCannotBeConverted) {
  const auto got =
      convert("{ingress: [{ports: [{port: 80}, {port: '-50:-1'}]}, {ports: [{port: 81}]}]}");
  ASSERT_TRUE(got.policy);
  EXPECT_THAT(got.policy->ingress, SizeIs(1));
  EXPECT_THAT(got.errors, ElementsAre("spec.ingress[0].ports[1].port"));
}

TEST(KubernetesPolicy, NamesWhatARuleMustNotHave) {
  const auto fields = [](const std::string& rule) {
    return convert("{ingress: [" + rule + "]}").errors;
  };
  EXPECT_THAT(fields("{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}"),
              ElementsAre("spec.ingress[0].from[0].ipBlock.cidr"));
  EXPECT_THAT(fields("{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}"),
              ElementsAre("spec.ingress[0].from[0].ipBlock.except[0]"));
  EXPECT_THAT(fields("{ports: [{port: 0}]}"), ElementsAre("spec.ingress[0].ports[0].port"));
  EXPECT_THAT(fields("{ports: [{port: 90, endPort: 80}]}"),
              ElementsAre("spec.ingress[0].ports[0].endPort"));
  EXPECT_THAT(fields("{ports: [{port: web, endPort: 80}]}"),
              ElementsAre("spec.ingress[0].ports[0].endPort"));
  EXPECT_THAT(fields("{ports: [{protocol: ICMP}]}"),
              ElementsAre("spec.ingress[0].ports[0].protocol"));
  EXPECT_THAT(fields("{from: [{podSelecter: {}}]}"),
              ElementsAre("spec.ingress[0].from[0].podSelecter"));
  EXPECT_THAT(fields("{to: [{podSelector: {}}]}"), ElementsAre("spec.ingress[0].to"));
  EXPECT_THAT(fields("{from: [{podSelector: {matchExpressions: [{key: a, operator: Near}]}}]}"),
              ElementsAre("spec.ingress[0].from[0].podSelector.matchExpressions[0].operator"));
}

TEST(KubernetesPolicy, IsNotInForceWhenItsOwnSelectorIsWrong) {
  const auto got = convert("{podSelector: {matchLabels: {'a b': x}}}");
  EXPECT_FALSE(got.policy);
  EXPECT_THAT(got.errors, ElementsAre("spec.podSelector.matchLabels"));
  EXPECT_FALSE(convert("{podSelector: {matchLabels: {a: true}}}").policy);
}

}  // namespace
}  // namespace margay::api
