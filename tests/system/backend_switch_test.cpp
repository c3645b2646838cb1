#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/system/load.h"
#include "tests/system/one_host.h"

/// The choice between legacy tables and nf_tables, and the way from one to the other.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class BackendSwitch : public OneHostTest {
 protected:
  void allowSome() {
    cluster().apply("policy.yaml",
                    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, "
                    "namespace: default}\nspec: {podSelector: {}, policyTypes: [Ingress, Egress], "
                    "ingress: [{ports: [{protocol: UDP, port: 70}, {protocol: UDP, port: 80}]}], "
                    "egress: [{}]}\n");
  }
  std::string backendInStatus() {
    const auto status = nlohmann::json::parse(host().ctl("status -o json").output, nullptr, false);
    return status.is_object() ? status.value("backend", "") : "";
  }
  std::string inLegacy() {
    return host().mustSh("iptables-legacy-save; ip6tables-legacy-save; ipset save");
  }
  std::string inNft() { return host().mustSh("nft list ruleset"); }
  /// What kubelet leaves so that others know which iptables it uses.
  void kubeletUses(const std::string& tool) {
    for (const auto* other : {"iptables-legacy", "iptables-nft"})
      host().sh(std::string(other) + " -t mangle -X KUBE-KUBELET-CANARY");
    static_cast<void>(host().mustSh(tool + " -t mangle -N KUBE-KUBELET-CANARY"));
  }
  static constexpr auto kLook = std::chrono::seconds(60);
};

TEST_F(BackendSwitch, LosesNoAllowedPacketAndLetsNoDeniedOneThrough) {
  auto& client = pod("client", 2);
  auto& target = pod("target", 3);
  allowSome();
  host().start({{"FELIX_IPTABLESBACKEND", "Auto"}});
  cluster().converge();
  EXPECT_THAT(backendInStatus(), HasSubstr("nftables"));
  Way established(client, target, Family::V4, 70, LoadKind::OneFlow);
  Way opened(client, target, Family::V4, 80, LoadKind::NewFlows);
  Way opened6(client, target, Family::V6, 80, LoadKind::NewFlows);
  Way denied(client, target, Family::V4, 90, LoadKind::NewFlows);
  Way denied6(client, target, Family::V6, 90, LoadKind::NewFlows);
  ASSERT_TRUE(eventually([&] { return opened.counter.arrived() > 100; }));

  kubeletUses("iptables-legacy");
  ASSERT_TRUE(eventually(
      [&] {
        return backendInStatus().find("legacy") != std::string::npos &&
               inNft().find("table ip margay") == std::string::npos;
      },
      kLook))
      << host().log();
  EXPECT_THAT(inLegacy(), HasSubstr("mgy-from-workload"));
  kubeletUses("iptables-nft");
  ASSERT_TRUE(eventually(
      [&] {
        return backendInStatus().find("nftables") != std::string::npos &&
               inLegacy().find("mgy") == std::string::npos;
      },
      kLook))
      << host().log();
  EXPECT_THAT(inNft(), HasSubstr("table ip6 margay"));

  for (auto* way : {&established, &opened, &opened6}) {
    const auto sent = way->load.stop();
    EXPECT_GT(sent, 1000U);
    EXPECT_THAT(way->counter.missing(sent), IsEmpty())
        << sent - way->counter.arrived() << " lost of " << sent;
  }
  EXPECT_EQ(denied.counter.arrived(), 0U) << "of " << denied.load.sent();
  EXPECT_EQ(denied6.counter.arrived(), 0U) << "of " << denied6.load.sent();
}

/// Docker on a host whose operator changes the backend while the agent runs.
TEST_F(BackendSwitch, FollowsFelixConfigurationBothWaysAndLosesNothingWhereOthersDrop) {
  for (const auto* tool : {"iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"})
    static_cast<void>(host().mustSh(std::string(tool) + " -P FORWARD DROP"));
  auto& client = pod("client", 2);
  auto& target = pod("target", 3);
  allowSome();
  const auto order = [&](const std::string& wanted) {
    cluster().apply("felix.yaml",
                    "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: "
                    "default}\nspec: {iptablesBackend: " +
                        wanted + "}\n");
  };
  order("NFT");
  host().start({{"FELIX_IPTABLESBACKEND", ""}});
  cluster().converge();
  EXPECT_THAT(backendInStatus(), HasSubstr("nftables"));
  Way established(client, target, Family::V4, 70, LoadKind::OneFlow);
  Way opened(client, target, Family::V4, 80, LoadKind::NewFlows);
  Way opened6(client, target, Family::V6, 80, LoadKind::NewFlows);
  Way denied(client, target, Family::V4, 90, LoadKind::NewFlows);
  ASSERT_TRUE(eventually([&] { return opened.counter.arrived() > 100; }));
  std::string unanswered;
  const auto askAll = [&] {
    for (const auto* question :
         {"status", "status -o json", "inspect sets", "inspect groups -o json",
          "explain --from default/client --to default/target"}) {
      const auto answer = host().ctl(question);
      if (answer.status != 0 || answer.output.empty())
        unanswered += std::string(question) + ": " + answer.output + '\n';
    }
  };
  for (const std::string wanted : {"Legacy", "NFT", "Legacy"}) {
    order(wanted);
    const std::string text = wanted == "NFT" ? "nftables" : "legacy";
    EXPECT_TRUE(eventually(
        [&] {
          askAll();
          const auto left = wanted == "NFT" ? inLegacy() : inNft();
          return backendInStatus().find(text) != std::string::npos &&
                 left.find(wanted == "NFT" ? "mgy-" : "table ip margay") == std::string::npos;
        },
        kLook))
        << wanted << '\n'
        << host().log();
  }
  EXPECT_EQ(unanswered, "") << "it answers while it switches";
  for (auto* way : {&established, &opened, &opened6}) {
    const auto sent = way->load.stop();
    EXPECT_THAT(way->counter.missing(sent), IsEmpty())
        << sent - way->counter.arrived() << " lost of " << sent;
  }
  EXPECT_EQ(denied.counter.arrived(), 0U) << "of " << denied.load.sent();
}

TEST_F(BackendSwitch, WhatAnotherRunLeftInTheOtherBackendIsSwept) {
  pod("client", 2);
  const auto legacy = host().agent("--once", {{"FELIX_IPTABLESBACKEND", "Legacy"}});
  ASSERT_EQ(legacy.status, 0) << legacy.output;
  EXPECT_THAT(inLegacy(), HasSubstr("mgy"));
  const auto nft = host().agent("--once", {{"FELIX_IPTABLESBACKEND", "NFT"}});
  ASSERT_EQ(nft.status, 0) << nft.output;
  EXPECT_THAT(inLegacy(), Not(HasSubstr("mgy")));
  EXPECT_THAT(inNft(), HasSubstr("table ip margay"));
  const auto clean = host().agent("--cleanup", {{"FELIX_IPTABLESBACKEND", "Legacy"}});
  ASSERT_EQ(clean.status, 0) << clean.output;
  EXPECT_THAT(inNft(), Not(HasSubstr("margay")));
}

TEST_F(BackendSwitch, FollowsWhoHasRulesOnTheHost) {
  static_cast<void>(host().mustSh("iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT"));
  host().start({{"FELIX_IPTABLESBACKEND", "Auto"}});
  cluster().converge();
  EXPECT_THAT(backendInStatus(), HasSubstr("legacy"));
  EXPECT_THAT(host().log(), HasSubstr("1 in legacy tables"));
}

}  // namespace
}  // namespace margay::system_tests
