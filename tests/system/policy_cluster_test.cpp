#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

/// ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy, with packets.
class ClusterPolicy : public PolicyTest {
 protected:
  static std::string manifest(const std::string& version, const std::string& kind,
                              const std::string& name, const std::string& spec) {
    return "apiVersion: policy.networking.k8s.io/" + version + "\nkind: " + kind +
           "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n";
  }
  void ofTier(const std::string& tier, const std::string& name, int priority,
              const std::string& rest) {
    put(name + ".yaml",
        manifest("v1alpha2", "ClusterNetworkPolicy", name,
                 "{tier: " + tier + ", priority: " + std::to_string(priority) + ", " + rest + "}"));
  }
  void admin(const std::string& name, int priority, const std::string& rest) {
    ofTier("Admin", name, priority, rest);
  }
  void baseline(const std::string& name, int priority, const std::string& rest) {
    ofTier("Baseline", name, priority, rest);
  }
  /// A NetworkPolicy that lets only `role` in to web.
  void onlyFrom(const std::string& role) {
    network("p",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
            "{matchLabels: {role: " +
                role + "}}}]}]}");
  }
};

constexpr const char* kWeb = "subject: {pods: {podSelector: {matchLabels: {app: web}}}}, ";
constexpr const char* kRed = "subject: {namespaces: {matchLabels: {team: red}}}, ";
constexpr const char* kFromNear = "from: [{pods: {podSelector: {matchLabels: {role: near}}}}]";

TEST_F(ClusterPolicy, AdminDeniesWhatANetworkPolicyAllows) {
  onlyFrom("near");
  admin("a", 10,
        std::string(kWeb) + "ingress: [{action: Deny, " + kFromNear +
            ", protocols: [{tcp: {destinationPort: {number: 80}}}]}]");
  expect({no(near(), web(), "tcp/80"), yes(near(), web(), "tcp/81 udp/80 ping"),
          no(far(), web(), "tcp/80 tcp/81 ping"), yes(near(), far(), "tcp/80")});
  take("a.yaml");
  expect({yes(near(), web(), "tcp/80")});
}

TEST_F(ClusterPolicy, AdminAcceptsWhatANetworkPolicyDenies) {
  onlyFrom("near");
  admin("a", 10,
        std::string(kWeb) +
            "ingress: [{action: Accept, from: [{namespaces: {matchLabels: {team: "
            "blue}}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}]");
  expect({yes(odd(), web(), "tcp/80"), yes(twin(), web(), "tcp/80"),
          no(odd(), web(), "tcp/81 udp/80 ping"), no(far(), web(), "tcp/80"),
          yes(near(), web(), "tcp/81 ping")});
}

TEST_F(ClusterPolicy, AdminPassLeavesItToTheNetworkPolicy) {
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}, {port: 81}]}]}");
  admin("deny", 20, std::string(kWeb) + "ingress: [{action: Deny, from: [{namespaces: {}}]}]");
  admin("pass", 10, std::string(kWeb) + "ingress: [{action: Pass, " + kFromNear + "}]");
  expect({yes(near(), web(), "tcp/80 tcp/81"), no(near(), web(), "udp/80 ping"),
          no(far(), web(), "tcp/80 tcp/81 ping"), no(odd(), web(), "tcp/80")});
}

TEST_F(ClusterPolicy, BaselineDecidesOnlyForPodsWithoutANetworkPolicy) {
  baseline("b", 10,
           std::string(kRed) + "ingress: [{action: Accept, " + kFromNear +
               "}, {action: Deny, from: [{namespaces: {}}]}]");
  expect({yes(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 udp/80 ping"),
          no(odd(), near(), "tcp/80"), yes(near(), twin(), "tcp/80 ping"),
          yes(web(), odd(), "tcp/80")});
  onlyFrom("far");
  expect({yes(far(), web(), "tcp/80 udp/80 ping"), no(near(), web(), "tcp/80 ping"),
          no(odd(), near(), "tcp/80"), no(web(), near(), "tcp/80")});
}

TEST_F(ClusterPolicy, LowerPriorityNumbersComeFirstAndEqualOnesByName) {
  const auto rule = [](const char* action) {
    return std::string(kWeb) + "ingress: [{action: " + action + ", from: [{namespaces: {}}]}]";
  };
  admin("a", 1000, rule("Accept"));
  admin("b", 0, rule("Deny"));
  expect({no(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80")});
  admin("b", 1000, rule("Deny"));
  expect({yes(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80")});
  admin("a", 1000, rule("Deny"));
  admin("b", 1000, rule("Accept"));
  expect({no(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80")});
}

TEST_F(ClusterPolicy, NamedPortIsThePortOfEachPodWhateverItsProtocol) {
  admin(
      "a", 10,
      "subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}], protocols: "
      "[{destinationNamedPort: http}]}, {action: Deny, from: [{namespaces: {}}]}]");
  expect({yes(near(), web(), "tcp/80"), no(near(), web(), "tcp/8080 udp/80 ping"),
          yes(near(), far(), "tcp/8080"), no(near(), far(), "tcp/80"),
          no(far(), near(), "tcp/80 tcp/8080")});
  take("a.yaml");
  admin("b", 10,
        "subject: {pods: {podSelector: {matchLabels: {role: near}}}}, egress: [{action: Deny, to: "
        "[{namespaces: {}}], protocols: [{destinationNamedPort: http}]}]");
  expect({no(near(), web(), "tcp/80"), yes(near(), web(), "tcp/8080 ping"),
          no(near(), far(), "tcp/8080"), yes(near(), far(), "tcp/80")});
}

TEST_F(ClusterPolicy, RangesAndProtocolsAreOneRule) {
  admin("a", 10,
        std::string(kWeb) +
            "ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: "
            "{destinationPort: {range: {start: 81, end: 8080}}}}, {udp: {destinationPort: {number: "
            "80}}}, {sctp: {destinationPort: {number: 9}}}]}]");
  expect({no(near(), web(), "tcp/81 tcp/8080 udp/80"), no(far(), web(), "tcp/8080 udp/80"),
          yes(near(), web(), "tcp/80 tcp/9000 udp/81 ping"), yes(far(), web(), "tcp/80")});
}

TEST_F(ClusterPolicy, NetworksOfEgressAreAddresses) {
  admin("a", 10,
        "subject: {namespaces: {}}, egress: [{action: Accept, to: [{networks: [10.65.1.2/32, "
        "\"fd65:0:0:1::2/128\"]}]}, {action: Deny, to: [{networks: [10.65.1.0/24, "
        "\"fd65:0:0:1::/64\"]}]}]");
  expect({yes(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80"),
          no(far(), near(), "tcp/80 udp/80 ping"), no(web(), twin(), "tcp/80"),
          yes(near(), far(), "tcp/80 ping"), yes(near(), odd(), "tcp/80")});
}

TEST_F(ClusterPolicy, PeersAreAllPodsOfNamespacesOrSomeOfThem) {
  baseline("b", 10,
           std::string(kWeb) +
               "ingress: [{action: Accept, from: [{pods: {namespaceSelector: {matchLabels: {team: "
               "blue}}, podSelector: {matchLabels: {app: odd}}}}]}, {action: Deny, from: [{pods: "
               "{podSelector: {matchLabels: {role: far}}}}, {namespaces: {matchLabels: {team: "
               "blue}}}]}]");
  expect({yes(odd(), web(), "tcp/80 ping"), no(twin(), web(), "tcp/80 ping"),
          no(far(), web(), "tcp/80 udp/80 ping"), yes(near(), web(), "tcp/80 ping")});
}

TEST_F(ClusterPolicy, OlderKindsWorkAlike) {
  put("anp.yaml",
      manifest("v1alpha1", "AdminNetworkPolicy", "guard",
               "{priority: 10, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{pods: "
               "{namespaceSelector: {}, podSelector: {matchLabels: {role: far}}}}], ports: "
               "[{portNumber: {protocol: TCP, port: 81}}, {namedPort: http}]}]}"));
  put("banp.yaml",
      manifest("v1alpha1", "BaselineAdminNetworkPolicy", "default",
               "{subject: {namespaces: {matchLabels: {team: red}}}, ingress: [{action: Deny, from: "
               "[{namespaces: {matchLabels: {team: blue}}}], ports: [{portRange: {protocol: UDP, "
               "start: 80, end: 90}}]}]}"));
  expect({no(far(), web(), "tcp/80 tcp/81"), yes(far(), web(), "tcp/8080 udp/81 ping"),
          no(odd(), web(), "udp/80 udp/81"), yes(odd(), web(), "tcp/81 ping"),
          yes(near(), web(), "tcp/81 udp/81")});
  network("p", "{podSelector: {matchLabels: {app: web}}, ingress: [{}]}");
  expect({no(far(), web(), "tcp/80 tcp/81"), yes(odd(), web(), "udp/80 tcp/81")});
}

TEST_F(ClusterPolicy, RuleThatCannotBeMatchedFailsClosedAndTheOthersHold) {
  put("a.yaml", manifest("v1alpha2", "ClusterNetworkPolicy", "good",
                         "{tier: Admin, priority: 1, " + std::string(kWeb) +
                             "ingress: [{action: Accept, " + kFromNear + "}]}"));
  cluster().apply("bad.yaml",
                  manifest("v1alpha2", "ClusterNetworkPolicy", "bad",
                           "{tier: Admin, priority: 2, " + std::string(kWeb) +
                               "ingress: [{action: Pass, from: [{nodes: {}}]}], egress: [{action: "
                               "Accept, to: [{domainNames: [example.org]}]}, {action: Deny, to: "
                               "[{pods: {podSelector: {matchLabels: {role: far}}}}]}]}"));
  expect({yes(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80 udp/80 ping"),
          no(web(), far(), "tcp/80"), yes(web(), odd(), "tcp/80 ping")});
  const auto invalid = one().json("status").at("invalidObjects");
  EXPECT_THAT(invalid, SizeIs(2)) << invalid.dump(1);
  for (const auto& object : invalid) EXPECT_EQ(object.value("name", ""), "bad");
  cluster().remove("bad.yaml");
  expect({yes(far(), web(), "tcp/80"), yes(web(), far(), "tcp/80")});
}

TEST_F(ClusterPolicy, AreShownUnderTheirNames) {
  admin("a", 10,
        std::string(kWeb) + "ingress: [{name: not-near, action: Deny, " + kFromNear + "}]");
  cluster().converge();
  const auto said =
      one().json("explain --from default/near --to default/web --protocol tcp --port 80");
  EXPECT_EQ(said.at("verdict"), "Deny");
  const auto last = said.at("stages").back();
  EXPECT_EQ(last.at("tier"), "kube-admin");
  EXPECT_EQ(last.at("policy"), "a");
  EXPECT_EQ(last.at("ruleName"), "not-near");
  const auto table = one().ctl("explain --from default/near --to default/web --port 80");
  EXPECT_THAT(table.output, HasSubstr("ingress[0] (not-near)"));
  const auto policies = one().json("inspect policies");
  ASSERT_THAT(policies, SizeIs(1)) << policies.dump(1);
  EXPECT_EQ(policies[0].at("kind"), "ClusterNetworkPolicy");
  EXPECT_EQ(policies[0].at("name"), "a");
}

}  // namespace
}  // namespace margay::system_tests
