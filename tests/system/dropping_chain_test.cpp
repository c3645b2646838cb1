#include <gmock/gmock.h>

#include <optional>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// Chains of others that drop by policy what they have no rule for, as Docker's FORWARD does: what
/// policy allows passes all the same, what it denies does not, and what is theirs stays.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DroppingChain : public OneHostTest {
 protected:
  void SetUp() override {
    OneHostTest::SetUp();
    if (IsSkipped()) return;
    client_ = &pod("client", 2);
    server_ = &pod("server", 3, {{"app", "s"}});
    cluster().apply(
        "policy.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, "
        "namespace: default}\nspec: {podSelector: {matchLabels: {app: s}}, policyTypes: "
        "[Ingress], ingress: [{ports: [{protocol: TCP, port: 80}]}]}\n");
    allowed_.emplace(server_->ns(), 80);
    denied_.emplace(server_->ns(), 90);
  }
  Pod& server() { return *server_; }
  void start(const std::string& wanted) { host().start({{"FELIX_IPTABLESBACKEND", wanted}}); }
  bool passes(Family family, std::uint16_t port, std::chrono::milliseconds patience = kPatience) {
    return tcpReaches(client_->from(), server_->address(family), port, patience);
  }
  void expectAllowedAlonePasses() {
    for (const Family family : {Family::V4, Family::V6}) {
      EXPECT_TRUE(passes(family, 80)) << host().ctl("status").output << host().log();
      EXPECT_FALSE(passes(family, 90, kNoAnswer));
    }
  }
  std::string status() { return host().ctl("status").output; }
  /// Rules of the chain as the tool prints them.
  std::string chain(const std::string& tool, const std::string& name = "FORWARD") {
    return host().mustSh(tool + " -S " + name + " 2>/dev/null");
  }
  /// Docker, or an operator, with this tool.
  void dropForwarded(const std::string& suffix) {
    for (const auto* family : {"iptables-", "ip6tables-"})
      static_cast<void>(host().mustSh(
          family + suffix + " -P FORWARD DROP; " + family + suffix +
          " -A FORWARD -i docker0 -o docker0 -m comment --comment 'not ours' -j ACCEPT"));
  }

 private:
  Pod* client_ = nullptr;
  Pod* server_ = nullptr;
  std::optional<EchoServer> allowed_;
  std::optional<EchoServer> denied_;
};

constexpr const char* kTheirs =
    "-P FORWARD DROP\n-A FORWARD -i docker0 -o docker0 -m comment --comment \"not ours\" -j "
    "ACCEPT\n";

/// Each of the three in which another tool's chain stands beside the backend's.
struct Beside {
  const char* backend;
  const char* tool;
};
void PrintTo(const Beside& way, std::ostream* out) {
  *out << way.backend << " beside " << way.tool;
}
class DroppingIptables : public DroppingChain, public ::testing::WithParamInterface<Beside> {
 protected:
  std::string tool() { return std::string("iptables-") + GetParam().tool; }
};

TEST_P(DroppingIptables, AllowedFlowsPassAndDeniedOnesDoNot) {
  dropForwarded(GetParam().tool);
  start(GetParam().backend);
  cluster().converge();
  expectAllowedAlonePasses();
  EXPECT_THAT(status(), HasSubstr("FORWARD of " + tool() +
                                  " (IPv4) drops by policy: what policy "
                                  "allows is accepted at its end"));
  EXPECT_THAT(status(), HasSubstr("FORWARD of " + tool() + " (IPv6)"));
  EXPECT_THAT(status(), HasSubstr("warnings: 0"));
  EXPECT_THAT(chain(tool()), ::testing::StartsWith(kTheirs));
}

TEST_P(DroppingIptables, WhatIsWipedIsRepairedWithinASecondOrSo) {
  dropForwarded(GetParam().tool);
  start(GetParam().backend);
  cluster().converge();
  const auto whole = chain(tool());
  ASSERT_THAT(whole, HasSubstr("margay:last:"));
  for (const std::string damage :
       {" -F FORWARD", " -D FORWARD 2", " -A FORWARD -s 192.0.2.9 -j ACCEPT"}) {
    static_cast<void>(host().mustSh(tool() + damage));
    if (damage == " -F FORWARD")
      static_cast<void>(host().mustSh(
          tool() + " -I FORWARD -i docker0 -o docker0 -m comment --comment 'not ours' -j ACCEPT"));
    EXPECT_TRUE(eventually(
        [&] {
          static_cast<void>(host().sh(tool() + " -D FORWARD -s 192.0.2.9 -j ACCEPT"));
          return chain(tool()) == whole;
        },
        std::chrono::seconds(10)))
        << damage << '\n'
        << chain(tool());
  }
  expectAllowedAlonePasses();
}

TEST_P(DroppingIptables, NothingOfOursStaysWhenItIsNotNeededAnyMoreAndAfterCleanup) {
  dropForwarded(GetParam().tool);
  start(GetParam().backend);
  cluster().converge();
  ASSERT_THAT(chain(tool()), HasSubstr("margay:last:"));
  static_cast<void>(host().mustSh(tool() + " -P FORWARD ACCEPT"));
  EXPECT_TRUE(eventually([&] { return chain(tool()).find("margay") == std::string::npos; },
                         std::chrono::seconds(30)));
  EXPECT_TRUE(eventually([&] { return status().find("IPv4) drops") == std::string::npos; }));
  static_cast<void>(host().mustSh(tool() + " -P FORWARD DROP"));
  EXPECT_TRUE(eventually([&] { return chain(tool()).find("margay") != std::string::npos; },
                         std::chrono::seconds(30)));
  EXPECT_EQ(host().stop(), 0);
  expectAllowedAlonePasses();
  const auto cleaned = host().agent("--cleanup", {{"FELIX_IPTABLESBACKEND", GetParam().backend}});
  EXPECT_EQ(cleaned.status, 0) << cleaned.output;
  EXPECT_EQ(chain(tool()), kTheirs);
  EXPECT_THAT(chain(std::string("ip6tables-") + GetParam().tool), Not(HasSubstr("margay")));
}

TEST_P(DroppingIptables, OneRunIsEnoughAndASecondOneChangesNothing) {
  dropForwarded(GetParam().tool);
  const Environment environment{{"FELIX_IPTABLESBACKEND", GetParam().backend}};
  ASSERT_EQ(host().agent("--once", environment).status, 0);
  expectAllowedAlonePasses();
  const auto rules = host().mustSh(tool() + "-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'");
  const auto again = host().agent("--once", environment);
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_THAT(again.output, Not(HasSubstr("\"add\": 1")));
  EXPECT_EQ(host().mustSh(tool() + "-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'"), rules);
}

INSTANTIATE_TEST_SUITE_P(, DroppingIptables,
                         ::testing::Values(Beside{"NFT", "legacy"}, Beside{"NFT", "nft"},
                                           Beside{"Legacy", "nft"}),
                         [](const auto& way) {
                           return std::string(way.param.backend) + "Beside" + way.param.tool;
                         });

TEST_F(DroppingChain, IptablesNftDeletesOursByWhatItPrints) {
  dropForwarded("nft");
  start("NFT");
  cluster().converge();
  EXPECT_EQ(host().stop(), 0);
  const auto ours = host().mustSh(
      "iptables-nft -S FORWARD | grep margay: | sed 's/^-A/-D/' | while read -r rule; do eval "
      "iptables-nft $rule || exit 1; done; iptables-nft -S FORWARD");
  EXPECT_EQ(ours, kTheirs);
}

TEST_F(DroppingChain, InputThatDropsLetsThroughWhatDefaultEndpointToHostActionAccepts) {
  for (const auto* tool : {"iptables-nft", "ip6tables-nft"})
    static_cast<void>(host().mustSh(std::string(tool) + " -P INPUT DROP"));
  host().start({{"FELIX_IPTABLESBACKEND", "NFT"}, {"FELIX_DEFAULTENDPOINTTOHOSTACTION", "ACCEPT"}});
  cluster().converge();
  for (const Family family : {Family::V4, Family::V6})
    EXPECT_TRUE(pingReaches(server().from(), Cluster::hostAddress(1, family), kPatience));
  EXPECT_THAT(status(), HasSubstr("INPUT of iptables-nft (IPv6) drops by policy: what policy"));
}

TEST_F(DroppingChain, ANativeChainIsAWarningThatSaysWhatToDo) {
  static_cast<void>(host().mustSh(
      "nft add table inet wall; nft add chain inet wall guard '{ type filter hook forward priority "
      "0; policy drop; }'"));
  start(backend());
  cluster().converge();
  EXPECT_THAT(status(), HasSubstr("chain guard of table inet wall drops forwarded packets"));
  EXPECT_FALSE(passes(Family::V4, 80, kNoAnswer));
  static_cast<void>(
      host().mustSh("nft add rule inet wall guard iifname '\"cali*\"' accept; nft add "
                    "rule inet wall guard oifname '\"cali*\"' accept"));
  expectAllowedAlonePasses();
}

}  // namespace
}  // namespace margay::system_tests
