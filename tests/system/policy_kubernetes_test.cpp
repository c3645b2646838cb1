#include <gmock/gmock.h>

#include "tests/system/backend.h"
#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;

class KubernetesPolicy : public PolicyTest {};

TEST_F(KubernetesPolicy, WithoutOneEverythingPasses) {
  expect({yes(near(), web(), "tcp/80 udp/81 ping"), yes(far(), web(), "tcp/80 udp/81 ping"),
          yes(web(), odd(), "tcp/80 udp/81 ping"), yes(odd(), twin(), "tcp/80 ping"),
          yes(web(), web(), "tcp/80 udp/80 ping")});
}

TEST_F(KubernetesPolicy, PodSelectorWithExpressionsPicksTargetsAndPeers) {
  network("p",
          "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [client]}, "
          "{key: app, operator: Exists}]}, ingress: [{from: [{podSelector: {matchExpressions: "
          "[{key: role, operator: In, values: [near, nobody]}]}}]}]}");
  expect({yes(near(), web(), "tcp/80 udp/80 ping"), no(far(), web(), "tcp/80 udp/80 ping"),
          no(odd(), web(), "tcp/80 ping"), yes(far(), near(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, NamespaceSelectorTakesAllPodsOfTheNamespace) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: "
          "{matchLabels: {team: blue}}}]}]}");
  expect({yes(odd(), web(), "tcp/80 udp/80 ping"), yes(twin(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 udp/80 ping"), no(far(), web(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, NamespaceAndPodSelectorOfOnePeerBothHold) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: "
          "{matchLabels: {team: blue}}, podSelector: {matchLabels: {app: odd}}}]}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80 ping"),
          no(far(), web(), "tcp/80"), no(near(), web(), "tcp/80")});
}

TEST_F(KubernetesPolicy, IpBlockLeavesOutItsExceptions) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: "
          "10.65.0.0/16, except: [10.65.2.3/32]}}, {ipBlock: {cidr: \"fd65::/48\", except: "
          "[\"fd65:0:0:2::3/128\"]}}]}]}");
  expect({yes(near(), web(), "tcp/80 udp/80 ping"), yes(odd(), web(), "tcp/80"),
          no(far(), web(), "tcp/80 udp/80 ping")});
}

TEST_F(KubernetesPolicy, EndPortMakesARange) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{protocol: TCP, port: 81, "
          "endPort: 8080}]}]}");
  expect({yes(near(), web(), "tcp/81 tcp/8080"), yes(far(), web(), "tcp/81 tcp/8080"),
          no(near(), web(), "tcp/80 tcp/9000 udp/81 ping"), no(far(), web(), "tcp/80 tcp/9000")});
}

TEST_F(KubernetesPolicy, NamedPortIsThePortOfEachPod) {
  network("in", "{podSelector: {}, ingress: [{ports: [{port: http}]}]}");
  expect({yes(near(), web(), "tcp/80"), no(near(), web(), "tcp/8080 udp/80"),
          yes(near(), far(), "tcp/8080"), no(near(), far(), "tcp/80"),
          no(far(), near(), "tcp/80 tcp/8080")});
  take("in.yaml");
  network("out",
          "{podSelector: {matchLabels: {role: near}}, policyTypes: [Egress], egress: [{ports: "
          "[{port: http}]}]}");
  expect({yes(near(), web(), "tcp/80"), no(near(), web(), "tcp/8080"),
          yes(near(), far(), "tcp/8080"), no(near(), far(), "tcp/80"),
          no(near(), odd(), "tcp/80 tcp/8080")});
}

TEST_F(KubernetesPolicy, SctpPortIsARuleOfBothFamilies) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{protocol: SCTP, port: "
          "3868}]}]}");
  expect({no(near(), web(), "tcp/80 udp/80 ping")});
  for (const auto family : {Family::V4, Family::V6})
    EXPECT_THAT(rulesText(one(), family), ContainsRegex("sctp [^\n]*dports? 3868"));
}

TEST_F(KubernetesPolicy, EgressReachesOnlyItsPeersAndPorts) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: "
          "[{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}, {protocol: UDP, "
          "port: 81}]}]}");
  expect({yes(web(), near(), "tcp/80 udp/81"), yes(web(), far(), "tcp/80 udp/81"),
          no(web(), near(), "tcp/81 udp/80 ping"), no(web(), far(), "tcp/81 udp/80 ping"),
          no(web(), odd(), "tcp/80"), yes(odd(), web(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, DefaultDenyOfIngressLeavesEgressAlone) {
  network("p", "{podSelector: {}, policyTypes: [Ingress]}");
  expect({no(near(), web(), "tcp/80 udp/80 ping"), no(far(), web(), "tcp/80 udp/80 ping"),
          no(web(), far(), "tcp/80"), yes(web(), odd(), "tcp/80 udp/80 ping"),
          yes(far(), odd(), "tcp/80"), yes(far(), twin(), "tcp/80")});
}

TEST_F(KubernetesPolicy, DefaultDenyOfEgressLeavesIngressAndNeighbourDiscoveryAlone) {
  network("p", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}");
  expect({no(web(), near(), "tcp/80 udp/80 ping"), no(web(), far(), "tcp/80 udp/80 ping"),
          yes(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80 udp/80 ping")});
  const auto gateway = web().sh(
      "set -e; via=$(ip -6 route show default | sed 's/.*via \\([^ ]*\\).*/\\1/'); "
      "ip neighbour del $via dev eth0; ping -6 -c1 -W1 -I eth0 $via >/dev/null || true; "
      "ip -6 neighbour show $via dev eth0; ip -6 neighbour show $via dev eth0 | grep -q lladdr");
  EXPECT_EQ(gateway.status, 0) << gateway.output;
}

TEST_F(KubernetesPolicy, DefaultDenyOfBothEndsStopsBothDirections) {
  network("p", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}");
  expect({no(near(), web(), "tcp/80 ping"), no(web(), near(), "tcp/80 ping"),
          no(far(), web(), "tcp/80 ping"), no(web(), far(), "tcp/80 ping"),
          yes(near(), far(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, RuleWithoutPortsMeansAllProtocols) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: "
          "{role: far}}}]}]}");
  expect({yes(far(), web(), "tcp/80 tcp/9000 udp/80 ping"), no(near(), web(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, RuleWithoutAnythingMeansEveryone) {
  network("p", "{podSelector: {matchLabels: {app: web}}, ingress: [{}]}");
  expect({yes(far(), web(), "tcp/80 udp/80 ping"), yes(odd(), web(), "tcp/80 ping")});
}

TEST_F(KubernetesPolicy, PoliciesOfOnePodAddUp) {
  network("deny", "{podSelector: {}, policyTypes: [Ingress]}");
  network("near",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: "
          "{role: near}}}], ports: [{port: 80}]}]}");
  network("far",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: "
          "{role: far}}}], ports: [{port: 81}]}]}");
  expect({yes(near(), web(), "tcp/80"), yes(far(), web(), "tcp/81"),
          no(near(), web(), "tcp/81 ping"), no(far(), web(), "tcp/80 ping"),
          no(odd(), web(), "tcp/80 tcp/81")});
}

}  // namespace
}  // namespace margay::system_tests
