#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What the agent leaves in the kernel, and what it leaves alone.
namespace margay::system_tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CoreState : public TwoPodsTest {
 protected:
  void SetUp() override {
    TwoPodsTest::SetUp();
    if (IsSkipped()) return;
    addPool();
    cluster().apply("deny.yaml", deny("a"));
  }
};

/// What a run with --once changed, from its summary.
struct Changes {
  std::uint64_t objects = 0;
  std::uint64_t commits = 0;
};
Changes changesIn(const std::string& summary) {
  Changes out;
  const auto json = nlohmann::json::parse(summary, nullptr, false);
  EXPECT_TRUE(json.value("converged", false)) << summary;
  out.commits = json["ruleCommits"].get<std::uint64_t>();
  for (const auto& table : json["tables"]) {
    for (const auto* op : {"add", "replace", "remove"})
      out.objects += table[op].get<std::uint64_t>();
  }
  return out;
}

TEST_F(CoreState, ASecondOnceChangesNothing) {
  cluster().apply("pool6.yaml",
                  "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pool6}\nspec: "
                  "{cidr: \"fd65::/32\", natOutgoing: true}\n");
  cluster().apply(
      "many.yaml",
      "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: t}\nspec: {order: 1}\n---\n"
      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: t.p}\nspec: "
      "{tier: t, selector: all(), types: [Ingress, Egress], ingress: [{action: Log}, {action: "
      "Deny, source: {nets: [192.0.2.0/24]}}, {action: Pass}], egress: [{action: "
      "Allow, protocol: TCP, destination: {selector: app == 'b', ports: [80, \"8000:8100\"]}}, "
      "{action: Pass}]}\n---\n"
      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: s, labels: {app: "
      "b}}\nspec: {nets: [198.51.100.0/24, \"fd00:3::/64\"]}\n");
  const auto first = host().agent("--once 2>/dev/null");
  ASSERT_EQ(first.status, 0) << first.output;
  EXPECT_GT(changesIn(first.output).objects, 30U);
  EXPECT_GE(changesIn(first.output).commits, 2U);
  const auto after = kernelState(host());
  EXPECT_THAT(after, HasSubstr("198.51.100.0/24"));
  EXPECT_THAT(after, HasSubstr("fd65::/32"));
  const auto second = host().agent("--once 2>/dev/null");
  EXPECT_EQ(second.status, 0);
  EXPECT_EQ(changesIn(second.output).objects, 0U) << second.output;
  EXPECT_EQ(changesIn(second.output).commits, 0U) << second.output;
  EXPECT_EQ(kernelState(host()), after);
}

TEST_F(CoreState, DryRunPrintsThePlanAndChangesNothing) {
  const auto before = kernelState(host());
  const auto plan = host().agent("--once --dry-run 2>/dev/null");
  EXPECT_EQ(plan.status, 0);
  EXPECT_THAT(plan.output, HasSubstr("mgy-from-workload"));
  EXPECT_THAT(plan.output, HasSubstr("10.65.1.2/32 dev " + a().device()));
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_TRUE(std::filesystem::is_empty(host().runDir()));
}

TEST_F(CoreState, CleanupLeavesTheKernelAsItWasFound) {
  // The agent asks for every table, which makes the kernel show it: so let them all be shown
  // before.
  static_cast<void>(kernelState(host()));
  const auto before = kernelState(host());
  host().start();
  cluster().converge();
  EXPECT_NE(kernelState(host()), before);
  EXPECT_EQ(host().stop(), 0);
  const auto cleaned = host().agent("--cleanup 2>&1");
  EXPECT_EQ(cleaned.status, 0) << cleaned.output;
  EXPECT_EQ(kernelState(host()), before);
}

TEST_F(CoreState, SigtermLeavesTheKernelAsItIs) {
  host().start();
  cluster().converge();
  const auto before = kernelState(host());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(host().stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_TRUE(pingReaches(a().from(), b().address(), kPatience));
}

TEST_F(CoreState, SigtermDoesNotWaitForThoseWhoWaitForWhatCannotBe) {
  // A route of somebody else is where one of ours should be.
  static_cast<void>(host().mustSh("ip -6 route add fd65:0:0:1::9 dev eth0"));
  static_cast<void>(cluster().addPod(host(), {.name = "c", .addresses = {"fd65:0:0:1::9"}}));
  host().start();
  EXPECT_NE(host().ctl("wait --timeout 1s").status, 0);
  ShellResult waited;
  std::thread waiting([&] { waited = host().ctl("wait --timeout 60s 2>&1"); });
  // The socket that listens, and that of a connection.
  const auto asked = [&] { return host().sh("grep margay.sock /proc/self/net/unix").output; };
  EXPECT_TRUE(eventually([&, text = std::string()]() mutable {
    text = asked();
    return std::count(text.begin(), text.end(), '\n') >= 2;
  }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(host().stop(), 0);
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_NE(waited.status, 0) << waited.output;
}

TEST_F(CoreState, APodThatJoinsAGroupCommitsNoRulesAndCostsTheSameAmongManyRules) {
  host().start();
  const auto changes = [&] {
    std::map<std::string, double> out;
    for (const auto& [series, value] : host().metrics())
      if (series.starts_with("margay_dataplane_changes_total{") && value > 0) out[series] = value;
    return out;
  };
  std::vector<std::map<std::string, double>> joins;
  for (const int extra : {0, 10, 1000}) {
    std::string policies;
    for (int n = 0; n < extra; ++n) {
      const auto number = std::to_string(n);
      policies += "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: extra-" +
                  number +
                  ", namespace: default}\nspec: {podSelector: {matchLabels: {app: b}}, ingress: "
                  "[{ports: [{port: " +
                  std::to_string(1000 + n) + "}], from: [{podSelector: {matchLabels: {role: r" +
                  std::to_string(n % 50) + "}}}]}]}\n---\n";
    }
    cluster().apply("extra.yaml", policies);
    cluster().converge();
    ASSERT_EQ(host().metric("margay_policies{scope=\"active\"}"), 1 + extra);
    const auto before = changes();
    const auto commits = ruleCommits(host());
    ASSERT_GT(commits, 0);
    auto& c = cluster().addPod(
        host(),
        {.name = "c", .addresses = {"10.65.1.4", "fd65:0:0:1::4"}, .labels = {{"app", "a"}}});
    cluster().converge();
    EXPECT_FALSE(pingReaches(b().from(), c.address(), kNoAnswer)) << "deny selects it";
    EXPECT_EQ(ruleCommits(host()), commits) << extra << " other policies";
    auto join = changes();
    for (const auto& [series, value] : before) join[series] -= value;
    std::erase_if(join, [](const auto& entry) { return entry.second == 0; });
    EXPECT_FALSE(join.empty());
    joins.push_back(join);
    cluster().removePod(c);
    cluster().converge();
    EXPECT_EQ(ruleCommits(host()), commits) << "leaving, with " << extra << " other policies";
  }
  EXPECT_EQ(joins[1], joins[0]);
  EXPECT_EQ(joins[2], joins[0]);
  const auto before = ruleCommits(host());
  cluster().apply("lock-b.yaml",
                  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: lock-b, "
                  "namespace: default}\n"
                  "spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}\n");
  cluster().converge();
  EXPECT_GT(ruleCommits(host()), before) << "a new group is a commit";
}

class OneFamily : public OneHostTest {
 protected:
  Pod& podWith(const std::string& name, std::vector<std::string> addresses) {
    return cluster().addPod(
        host(), {.name = name, .addresses = std::move(addresses), .labels = {{"app", name}}});
  }
};

TEST_F(OneFamily, PoliciesAreInTheTablesOfTheFamiliesThatPodsHave) {
  auto& web = podWith("web", {"10.65.1.2"});
  cluster().apply("deny.yaml", deny("web"));
  host().start();
  cluster().converge();
  const std::string v4 = legacyBackend() ? "iptables-legacy-save" : "nft list table ip margay";
  const std::string v6 = legacyBackend() ? "ip6tables-legacy-save" : "nft list table ip6 margay";
  EXPECT_THAT(host().mustSh(v4), HasSubstr("mgy-gi-"));
  EXPECT_THAT(host().mustSh(v6), AllOf(HasSubstr("mgy-antispoof"), Not(HasSubstr("mgy-gi-"))));

  // The second family of a group that is there already: judged from the first packet on.
  cluster().removePod(web);
  auto& both = podWith("web", {"10.65.1.3", "fd65:0:0:1::3"});
  auto& client = podWith("client", {"10.65.1.4", "fd65:0:0:1::4"});
  const EchoServer server(both.ns(), 80);
  const EchoServer other(client.ns(), 80);
  cluster().converge();
  EXPECT_TRUE(tcpReaches(both.from(), client.address(Family::V6), 80, kPatience));
  EXPECT_FALSE(tcpReaches(client.from(), both.address(Family::V6), 80, kNoAnswer));
  cluster().remove("deny.yaml");
  cluster().converge();
  EXPECT_TRUE(tcpReaches(client.from(), both.address(Family::V6), 80, kPatience));
}

TEST_F(CoreState, WhatIsWipedComesBackAndIsCounted) {
  host().start();
  cluster().converge();
  const auto whole = kernelState(host());
  const auto restored = [&] {
    return eventually([&] { return kernelState(host()) == whole; }, std::chrono::seconds(20));
  };
  wipeRules(host());
  EXPECT_TRUE(restored()) << "all rules";
  flushLocalSet(host());
  EXPECT_TRUE(restored()) << "set of local workloads";
  const auto device = b().device();
  std::vector<std::string> commands = {
      "ip route delete 10.65.1.2", "ip -6 route delete fd65:0:0:1::3",
      "ip route replace 10.65.1.3 dev eth0 metric 1024 proto 109",
      "ip neigh delete 10.65.1.3 dev " + device,
      "ip neigh replace fd65:0:0:1::3 lladdr 02:00:00:00:00:99 dev " + device + " nud permanent"};
  for (auto& command : damages(b())) commands.push_back(std::move(command));
  for (const auto& command : commands) {
    static_cast<void>(host().mustSh(command));
    EXPECT_TRUE(restored()) << command;
  }
  EXPECT_GE(ruleDrift(host()), 5);
  if (legacyBackend()) {
    EXPECT_GE(host().metric("margay_dataplane_drift_total{table=\"ipset\"}"), 1);
  }
  EXPECT_GE(host().metric("margay_dataplane_drift_total{table=\"route\"}"), 3);
  EXPECT_GE(host().metric("margay_dataplane_drift_total{table=\"neighbour\"}"), 2);
  EXPECT_TRUE(pingReaches(a().from(), b().address(), kPatience));
}

TEST_F(CoreState, SysctlsThatTheKernelTellsOfComeBackAtOnce) {
  host().start();
  cluster().converge();
  const auto whole = kernelState(host());
  static_cast<void>(host().mustSh("sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf." + b().device() +
                                  ".proxy_arp=0"));
  const auto drift = [&] {
    return host().metric("margay_dataplane_drift_total{table=\"sysctl\"}");
  };
  EXPECT_TRUE(eventually([&] { return drift() >= 2; }, std::chrono::seconds(10)));
  EXPECT_TRUE(eventually([&] { return kernelState(host()) == whole; }));
}

TEST_F(CoreState, OtherSysctlsComeBackWithTheNextWholeList) {
  host().start();
  cluster().converge();
  const auto whole = kernelState(host());
  static_cast<void>(
      host().mustSh("sysctl -qw net.ipv4.conf." + b().device() + ".route_localnet=0"));
  EXPECT_TRUE(eventually(
      [&] { return host().metric("margay_dataplane_drift_total{table=\"sysctl\"}") >= 1; },
      std::chrono::seconds(45)));
  EXPECT_TRUE(eventually([&] { return kernelState(host()) == whole; }));
}

}  // namespace
}  // namespace margay::system_tests
