#include <gmock/gmock.h>

#include "tests/system/backend.h"
#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;

/// Policies of projectcalico.org/v3: who wins, what actions do, and who is meant.
class CalicoPolicy : public PolicyTest {
 protected:
  void tier(const std::string& name, int order, const std::string& more = {}) {
    calico("Tier", name, "{order: " + std::to_string(order) + more + "}");
  }
};

TEST_F(CalicoPolicy, LowerOrderDecidesFirst) {
  calico("NetworkPolicy", "deny", "{order: 20, selector: app == 'web', ingress: [{action: Deny}]}");
  calico("NetworkPolicy", "allow",
         "{order: 10, selector: app == 'web', ingress: [{action: Allow, source: {selector: role "
         "== 'near'}}]}");
  expect({yes(near(), web(), "tcp/80 udp/80 ping"), no(far(), web(), "tcp/80 udp/80 ping")});
  calico("NetworkPolicy", "allow",
         "{order: 30, selector: app == 'web', ingress: [{action: Allow, source: {selector: role "
         "== 'near'}}]}");
  expect({no(near(), web(), "tcp/80 udp/80 ping")});
}

TEST_F(CalicoPolicy, DenyRuleComesBeforeLaterAllow) {
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Deny, protocol: TCP, destination: {ports: "
         "[81]}}, {action: Allow}]}");
  expect({yes(near(), web(), "tcp/80 udp/81 ping"), no(near(), web(), "tcp/81"),
          no(far(), web(), "tcp/81"), yes(far(), web(), "tcp/80 udp/81 ping")});
}

TEST_F(CalicoPolicy, PassGoesToTheNextTier) {
  tier("first", 100);
  tier("second", 200);
  calico("GlobalNetworkPolicy", "first.p",
         "{tier: first, selector: app == 'web', ingress: [{action: Pass, source: {selector: app "
         "== 'client'}}, {action: Allow, source: {selector: app == 'odd'}}]}");
  calico("GlobalNetworkPolicy", "second.p",
         "{tier: second, selector: app == 'web', ingress: [{action: Allow, source: {selector: "
         "role == 'far'}}]}");
  expect({yes(far(), web(), "tcp/80 ping"), no(near(), web(), "tcp/80 ping"),
          yes(odd(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, TierWithDefaultActionPassLeavesTheRestToOthers) {
  tier("first", 100, ", defaultAction: Pass");
  calico("GlobalNetworkPolicy", "first.p",
         "{tier: first, selector: app == 'web', ingress: [{action: Deny, source: {selector: role "
         "== 'near'}}]}");
  expect({no(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80 udp/80 ping"),
          yes(twin(), web(), "tcp/80")});
  network("deny", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}");
  expect({no(far(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80")});
}

TEST_F(CalicoPolicy, LogIsARuleAndDecidesNothing) {
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Log, protocol: TCP}, {action: Allow, "
         "protocol: TCP, destination: {ports: [80]}}]}");
  expect({yes(near(), web(), "tcp/80"), no(near(), web(), "tcp/81")});
  for (const auto family : {Family::V4, Family::V6})
    EXPECT_THAT(rulesText(one(), family), ContainsRegex("tcp [^\n]*(-j LOG|log prefix)"));
}

TEST_F(CalicoPolicy, ServiceAccountsByNameAndBySelector) {
  calico("GlobalNetworkPolicy", "names",
         "{selector: app == 'web', ingress: [{action: Allow, source: {serviceAccounts: {names: "
         "[robot]}}}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), yes(twin(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 ping")});
  take("GlobalNetworkPolicy-names.yaml");
  calico("GlobalNetworkPolicy", "labels",
         "{selector: app == 'web', ingress: [{action: Allow, source: {serviceAccounts: {selector: "
         "duty == 'robot'}}}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), yes(twin(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, ServiceAccountSelectorPicksTheTargets) {
  calico("GlobalNetworkPolicy", "p",
         "{selector: all(), serviceAccountSelector: duty == 'robot', types: [Ingress]}");
  expect({no(near(), twin(), "tcp/80 ping"), no(near(), odd(), "tcp/80 ping"),
          yes(odd(), web(), "tcp/80"), yes(near(), far(), "tcp/80")});
}

TEST_F(CalicoPolicy, GlobalPolicyWithNamespaceSelectorTakesOnlyThosePods) {
  calico("GlobalNetworkPolicy", "p",
         "{namespaceSelector: team == 'blue', types: [Ingress], ingress: [{action: Allow, source: "
         "{namespaceSelector: team == 'blue'}}]}");
  expect({yes(odd(), twin(), "tcp/80 ping"), yes(twin(), odd(), "tcp/80 ping"),
          no(near(), twin(), "tcp/80 ping"), no(near(), odd(), "tcp/80 ping"),
          yes(odd(), web(), "tcp/80"), yes(near(), far(), "tcp/80")});
}

TEST_F(CalicoPolicy, SelectorOfANamespacedPolicyStaysInItsNamespace) {
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {selector: all()}}]}");
  expect({yes(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80 ping"),
          no(odd(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80 ping")});
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {namespaceSelector: all(), "
         "selector: \"app in {'odd', 'client'}\"}}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80 ping"),
          no(twin(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, NetworkSetsAreMembersOfTheirNamespace) {
  calico("NetworkSet", "s", "{nets: [10.65.2.0/24, \"fd65:0:0:2::/64\"]}", "labels: {set: s}");
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {selector: set == 's'}}]}");
  expect({yes(far(), web(), "tcp/80 ping"), yes(odd(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, ASetFollowsWhenItsFirstNetComesAndItsLastOneGoes) {
  calico("NetworkSet", "one", "{nets: [10.65.2.3/32, \"fd65:0:0:2::3/128\"]}", "labels: {set: s}");
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {selector: set == 's'}}]}");
  expect({yes(far(), web(), "tcp/80 ping"), no(odd(), web(), "tcp/80 ping")});
  calico("NetworkSet", "two", "{nets: [10.65.2.0/24, \"fd65:0:0:2::/64\"]}", "labels: {set: s}");
  expect({yes(far(), web(), "tcp/80 ping"), yes(odd(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 ping")});
  calico("NetworkSet", "two", "{nets: [192.0.2.1/32, \"2001:db8::1/128\"]}", "labels: {set: s}");
  expect({yes(far(), web(), "tcp/80 ping"), no(odd(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, GlobalNetworkSetsAreFoundByGlobalSelectors) {
  calico("GlobalNetworkSet", "s", "{nets: [10.65.2.4/32, \"fd65:0:0:2::4/128\"]}",
         "labels: {set: s}");
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {namespaceSelector: "
         "global(), selector: set == 's'}}]}");
  expect({yes(odd(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 ping"),
          no(near(), web(), "tcp/80 ping")});
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', ingress: [{action: Allow, source: {selector: set == 's'}}]}");
  expect({no(odd(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, ServicesMatchTheirEndpointsAndOutwardsTheirPorts) {
  put("service.yaml",
      "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: default}\n"
      "spec: {ports: [{port: 8000, targetPort: 80, protocol: TCP}]}\n");
  const auto slice = [](const std::string& name, const std::string& family,
                        const std::string& address) {
    return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
           "metadata: {name: " +
           name +
           ", namespace: default, labels: {kubernetes.io/service-name: s}}\n"
           "addressType: " +
           family + "\nports: [{port: 80, protocol: TCP}]\nendpoints: [{addresses: [\"" + address +
           "\"], conditions: {ready: true}}]\n";
  };
  put("slices.yaml", slice("four", "IPv4", "10.65.2.3") + slice("six", "IPv6", "fd65:0:0:2::3"));
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', types: [Egress], egress: [{action: Allow, destination: "
         "{services: {name: s, namespace: default}}}]}");
  expect({yes(web(), far(), "tcp/80"), no(web(), far(), "tcp/81 udp/80 ping"),
          no(web(), odd(), "tcp/80"), no(web(), near(), "tcp/80")});
  calico("NetworkPolicy", "p",
         "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {services: "
         "{name: s, namespace: default}}}]}");
  expect({yes(far(), web(), "tcp/80 tcp/81 udp/80 ping"), no(odd(), web(), "tcp/80"),
          no(near(), web(), "tcp/80 ping")});
}

TEST_F(CalicoPolicy, ProfileRulesDecideWhereNoPolicyDoesAndAMissingProfileDrops) {
  const auto endpoint = [](const Pod& pod, const std::string& profiles) {
    return "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\n"
           "metadata: {name: one-k8s-web-eth0, namespace: default, labels: {app: web, "
           "projectcalico.org/namespace: default, projectcalico.org/orchestrator: k8s}}\n"
           "spec: {orchestrator: k8s, node: one, pod: web, endpoint: eth0, interfaceName: " +
           pod.device() +
           ", ipNetworks: [10.65.1.2/32, \"fd65:0:0:1::2/128\"], profiles: " + profiles + "}\n";
  };
  calico("Profile", "picky",
         "{ingress: [{action: Deny, source: {selector: role == 'near'}}, {action: Allow, "
         "protocol: TCP}], egress: [{action: Allow, destination: {selector: app == 'client'}}]}");
  put("endpoint.yaml", endpoint(web(), "[picky]"));
  expect({no(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80"),
          no(far(), web(), "udp/80 ping"), yes(web(), near(), "tcp/80 udp/80 ping"),
          yes(web(), far(), "tcp/80 ping"), no(web(), odd(), "tcp/80 ping")});
  put("endpoint.yaml", endpoint(web(), "[absent]"));
  expect({no(far(), web(), "tcp/80 udp/80 ping"), no(near(), web(), "tcp/80 ping"),
          no(web(), near(), "tcp/80 ping"), no(web(), far(), "tcp/80 ping")});
  put("endpoint.yaml", endpoint(web(), "[]"));
  expect({no(far(), web(), "tcp/80 ping"), no(web(), near(), "tcp/80 ping")});
  take("endpoint.yaml");
  expect({yes(far(), web(), "tcp/80 ping"), yes(web(), near(), "tcp/80 ping")});
}

}  // namespace
}  // namespace margay::system_tests
