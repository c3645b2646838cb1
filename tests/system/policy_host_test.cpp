#include <gmock/gmock.h>

#include <thread>

#include "tests/system/backend.h"
#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;

constexpr Family kFamilies[] = {Family::V4, Family::V6};

/// Between pods, their hosts and the world outside.
class PolicyAndHost : public PolicyTest {
 protected:
  /// Restarts the agent of host one with other settings for the rest of the test.
  void restart(const Environment& extra) {
    restarted_ = true;
    EXPECT_EQ(one().stop(), 0);
    one().start(extra);
    cluster().converge();
  }
  void TearDown() override {
    if (restarted_) {
      one().stop();
      one().start();
      one().converge();
    }
    PolicyTest::TearDown();
  }
  /// Service address `from` becomes `to` for what host one forwards or sends, as kube-proxy does
  /// it, with masquerade for a pod that reaches itself.
  static void service(const Address& from, const Address& to) {
    const std::string tables = from.family() == Family::V4 ? "iptables-legacy" : "ip6tables-legacy";
    const auto whole = from.family() == Family::V4 ? "/32" : "/128";
    const auto target = from.family() == Family::V4 ? to.str() + ":80" : '[' + to.str() + "]:80";
    static_cast<void>(one().mustSh(tables + " -t nat -A PREROUTING -d " + from.str() + whole +
                                   " -p tcp --dport 8000 -j DNAT --to-destination " + target +
                                   " && " + tables + " -t nat -A POSTROUTING -s " + to.str() +
                                   whole + " -d " + to.str() + whole + " -p tcp -j MASQUERADE"));
  }
  static void withoutServices() {
    for (const std::string tables : {"iptables-legacy", "ip6tables-legacy"}) {
      static_cast<void>(one().sh(tables + "-save -t nat | grep -v -e DNAT -e '-p tcp -j MASQ' | " +
                                 tables + "-restore"));
    }
  }

 private:
  bool restarted_ = false;
};

TEST_F(PolicyAndHost, HostReachesItsPodsWhateverThePolicy) {
  network("p", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
  cluster().converge();
  for (const auto family : kFamilies) {
    EXPECT_TRUE(tcpReaches(one().from(), web().address(family), 80, kPatience));
    EXPECT_TRUE(udpReaches(one().from(), web().address(family), 80, kPatience));
    EXPECT_TRUE(pingReaches(one().from(), web().address(family), kPatience));
    EXPECT_FALSE(tcpReaches(two().from(), web().address(family), 80, kNoAnswer));
  }
}

TEST_F(PolicyAndHost, PodToItsHostIsDroppedByDefaultAndPodsOfOthersAreNot) {
  const EchoServer server(one().ns(), 7000);
  cluster().converge();
  for (const auto family : kFamilies) {
    EXPECT_FALSE(tcpReaches(web().from(), Cluster::hostAddress(1, family), 7000, kNoAnswer));
    EXPECT_FALSE(udpReaches(web().from(), Cluster::hostAddress(1, family), 7000, kNoAnswer));
    EXPECT_FALSE(pingReaches(web().from(), Cluster::hostAddress(1, family), kNoAnswer));
    EXPECT_TRUE(tcpReaches(far().from(), Cluster::hostAddress(1, family), 7000, kPatience));
  }
}

TEST_F(PolicyAndHost, PodToItsHostIsAcceptedWhereEgressPolicyAllowsIt) {
  const EchoServer server(one().ns(), 7000);
  restart({{"FELIX_DEFAULTENDPOINTTOHOSTACTION", "ACCEPT"}});
  // Ours is the last word for Accept: what the host itself would drop does not count. (Not so in
  // nftables, where the hooks of other tables are still asked.)
  const std::string drop = " INPUT -i cali+ -p tcp --dport 7000 -j DROP";
  if (legacyBackend()) static_cast<void>(one().mustSh("iptables-legacy -A" + drop));
  for (const auto family : kFamilies)
    EXPECT_TRUE(tcpReaches(web().from(), Cluster::hostAddress(1, family), 7000, kPatience));
  calico("NetworkPolicy", "p", "{selector: app == 'web', types: [Egress]}");
  cluster().converge();
  for (const auto family : kFamilies) {
    EXPECT_FALSE(tcpReaches(web().from(), Cluster::hostAddress(1, family), 7000, kNoAnswer));
    EXPECT_TRUE(tcpReaches(near().from(), Cluster::hostAddress(1, family), 7000, kPatience));
  }
  if (legacyBackend()) static_cast<void>(one().mustSh("iptables-legacy -D" + drop));
}

TEST_F(PolicyAndHost, PodToItsHostIsLeftToTheRulesOfTheHost) {
  const EchoServer server(one().ns(), 7000);
  const EchoServer other(one().ns(), 7001);
  restart({{"FELIX_DEFAULTENDPOINTTOHOSTACTION", "RETURN"}});
  static_cast<void>(one().mustSh("iptables-legacy -A INPUT -i cali+ -p tcp --dport 7000 -j DROP"));
  const auto host = Cluster::hostAddress(1);
  EXPECT_FALSE(tcpReaches(web().from(), host, 7000, kNoAnswer));
  EXPECT_TRUE(tcpReaches(web().from(), host, 7001, kPatience));
  EXPECT_TRUE(tcpReaches(web().from(), Cluster::hostAddress(1, Family::V6), 7000, kPatience));
  static_cast<void>(one().mustSh("iptables-legacy -D INPUT -i cali+ -p tcp --dport 7000 -j DROP"));
  calico("NetworkPolicy", "p", "{selector: app == 'web', types: [Egress]}");
  cluster().converge();
  EXPECT_FALSE(tcpReaches(web().from(), host, 7001, kNoAnswer));
}

TEST_F(PolicyAndHost, ForwardPolicyDropOfTheHostLetsAllowedFlowsPass) {
  for (auto* host : {&one(), &two()})
    static_cast<void>(
        host->mustSh("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP"));
  network("p",
          "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: "
          "{app: client}}}]}]}");
  expect({yes(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80 udp/80 ping"),
          yes(web(), odd(), "tcp/80 ping"), no(odd(), web(), "tcp/80 ping"),
          no(twin(), web(), "tcp/80 ping")});
  for (auto* host : {&one(), &two()})
    static_cast<void>(
        host->mustSh("iptables-legacy -P FORWARD ACCEPT; ip6tables-legacy -P FORWARD ACCEPT"));
}

TEST_F(PolicyAndHost, RoutesLeadToThePodsOfOtherNodes) {
  cluster().converge();
  EXPECT_THAT(one().mustSh("ip -4 route show 10.65.2.0/24"), HasSubstr("via 172.30.0.2"));
  EXPECT_THAT(one().mustSh("ip -6 route show fd65:0:0:2::/64"), HasSubstr("via fd30::2"));
  EXPECT_THAT(two().mustSh("ip -4 route show 10.65.1.0/24"), HasSubstr("via 172.30.0.1"));
  EXPECT_THAT(two().mustSh("ip -6 route show fd65:0:0:1::/64"), HasSubstr("via fd30::1"));
  EXPECT_THAT(one().mustSh("ip -4 route show 10.65.1.2"), HasSubstr("dev " + web().device()));
  EXPECT_THAT(one().mustSh("ip -6 route show fd65:0:0:1::2"), HasSubstr("dev " + web().device()));
}

TEST_F(PolicyAndHost, PodsLeaveTheClusterAsTheirNodeAndMeetEachOtherAsThemselves) {
  calico("IPPool", "four", "{cidr: 10.65.0.0/16, natOutgoing: true}");
  calico("IPPool", "six", "{cidr: \"fd65::/48\", natOutgoing: true}");
  auto outside = testing::NetworkNamespace::create();
  ASSERT_TRUE(outside);
  const auto entered = [&] {
    const auto guard = cluster().lan().enter();
    return testing::shell("ip link add pout type veth peer name eth0 netns " + outside->path() +
                          " && ip link set pout master br0 up");
  }();
  ASSERT_EQ(entered.status, 0) << entered.output;
  {
    const auto guard = outside->enter();
    const auto set = testing::shell(
        "sysctl -qw net.ipv6.conf.eth0.accept_dad=0 && ip address add 172.30.0.99/24 dev eth0 && "
        "ip address add fd30::99/64 dev eth0 && ip link set eth0 up");
    ASSERT_EQ(set.status, 0) << set.output;
  }
  cluster().converge();
  const EchoServer world(*outside, 7000);
  const EchoServer peer(far().ns(), 7000);
  for (const auto family : kFamilies) {
    const auto there = *Address::parse(family == Family::V4 ? "172.30.0.99" : "fd30::99");
    EXPECT_TRUE(tcpReaches(web().from(), there, 7000, kPatience));
    EXPECT_EQ(world.lastPeer(), Cluster::hostAddress(1, family).str());
    EXPECT_TRUE(udpReaches(far().from(), there, 7000, kPatience));
    EXPECT_EQ(world.lastPeer(), Cluster::hostAddress(2, family).str());
    EXPECT_TRUE(tcpReaches(web().from(), far().address(family), 7000, kPatience));
    EXPECT_EQ(peer.lastPeer(), web().address(family).str());
  }
}

TEST_F(PolicyAndHost, PodReachesItselfAndOthersThroughAServiceAddress) {
  const std::string services[2][2] = {{"10.96.0.1", "10.96.0.2"}, {"fd96::1", "fd96::2"}};
  calico("NetworkPolicy", "p",
         "{selector: app == 'client', ingress: [{action: Allow, source: {selector: app == "
         "'web'}, protocol: TCP, destination: {ports: [80]}}]}");
  cluster().converge();
  for (const auto family : kFamilies) {
    const auto& [self, other] = services[family == Family::V4 ? 0 : 1];
    service(*Address::parse(self), web().address(family));
    service(*Address::parse(other), far().address(family));
    EXPECT_TRUE(tcpReaches(web().from(), *Address::parse(self), 8000, kPatience));
    EXPECT_TRUE(tcpReaches(web().from(), *Address::parse(other), 8000, kPatience));
    EXPECT_TRUE(tcpReaches(near().from(), *Address::parse(self), 8000, kPatience));
    EXPECT_FALSE(tcpReaches(near().from(), *Address::parse(other), 8000, kNoAnswer));
    EXPECT_FALSE(tcpReaches(twin().from(), *Address::parse(other), 8000, kNoAnswer));
  }
  withoutServices();
}

TEST_F(PolicyAndHost, PodWithTwoAddressesHasThePolicyOnEach) {
  auto& pair = cluster().addPod(
      one(),
      {.name = "pair", .addresses = {"10.65.1.20", "fd65:0:0:1::20"}, .labels = {{"app", "pair"}}});
  const EchoServer server(pair.ns(), 80);
  calico("NetworkPolicy", "p",
         "{selector: app == 'pair', types: [Ingress, Egress], ingress: [{action: Allow, source: "
         "{selector: role == 'far'}}], egress: [{action: Allow, destination: {selector: app == "
         "'web'}}]}");
  expect({yes(far(), pair, "tcp/80 udp/80 ping"), no(near(), pair, "tcp/80 udp/80 ping"),
          yes(pair, web(), "tcp/80 ping"), no(pair, far(), "tcp/80 ping")});
  cluster().removePod(pair);
}

TEST_F(PolicyAndHost, PodWithTwoAddressesOfOneFamilyHasThePolicyOnEach) {
  auto& pair = cluster().addPod(
      one(),
      {.name = "pair", .addresses = {"10.65.1.20", "10.65.1.21"}, .labels = {{"app", "pair"}}});
  const EchoServer server(pair.ns(), 80);
  calico("NetworkPolicy", "p",
         "{selector: app == 'pair', types: [Ingress], ingress: [{action: Allow, source: "
         "{selector: role == 'far'}}]}");
  calico("NetworkPolicy", "q",
         "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: "
         "{selector: app == 'pair'}}]}");
  cluster().converge();
  for (const auto& text : pair.spec().addresses) {
    const auto address = *Address::parse(text);
    EXPECT_TRUE(tcpReaches(far().from(), address, 80, kPatience)) << text;
    EXPECT_FALSE(tcpReaches(near().from(), address, 80, kNoAnswer)) << text;
    EXPECT_TRUE(tcpReaches({&pair.ns(), address, 0}, web().address(), 80, kPatience)) << text;
  }
  EXPECT_FALSE(tcpReaches(near().from(), web().address(), 80, kNoAnswer));
  cluster().removePod(pair);
}

TEST_F(PolicyAndHost, SixtyFivePodsMaySendFromOnePrefix) {
  restart({{"FELIX_WORKLOADSOURCESPOOFING", "Any"}});
  const std::string shared = "203.0.113.5";
  std::vector<Pod*> many;
  for (int i = 0; i < 65; ++i) {
    many.push_back(&cluster().addPod(
        one(),
        {.name = "many" + std::to_string(i),
         .addresses = {"10.65.1." + std::to_string(100 + i),
                       "fd65:0:0:1::" + std::to_string(100 + i)},
         .labels = {{"app", "many"}},
         .annotations = R"({cni.projectcalico.org/allowedSourcePrefixes: '["203.0.113.0/24"]'})"}));
  }
  calico("NetworkPolicy", "p",
         "{selector: app == 'many', types: [Egress], egress: [{action: Allow, protocol: UDP, "
         "destination: {selector: app == 'web'}}]}");
  cluster().converge();
  const auto judged = [&](const Pod& pod) {
    static_cast<void>(one().mustSh("ip route replace " + shared + " dev " + pod.device()));
    const From from{&pod.ns(), Address::parse(shared), 0};
    EXPECT_TRUE(udpReaches(from, web().address(), 80, kPatience)) << pod.spec().name;
    EXPECT_FALSE(udpReaches(from, near().address(), 80, kNoAnswer)) << pod.spec().name;
    EXPECT_TRUE(udpReaches(pod.from(), web().address(Family::V6), 80, kPatience));
    EXPECT_FALSE(tcpReaches(pod.from(), web().address(), 80, kNoAnswer)) << pod.spec().name;
    static_cast<void>(one().mustSh("ip route del " + shared));
  };
  for (const auto* pod : {many.front(), many[32], many.back()}) {
    EXPECT_EQ(pod->sh("ip address add " + shared + "/32 dev eth0").status, 0);
    judged(*pod);
  }
  // A set of the kernel holds one prefix for 64 interfaces: back below that, and above it again.
  auto again = many.back()->spec();
  cluster().removePod(*many.back());
  cluster().converge();
  judged(*many.front());
  many.back() = &cluster().addPod(one(), std::move(again));
  cluster().converge();
  EXPECT_EQ(many.back()->sh("ip address add " + shared + "/32 dev eth0").status, 0);
  judged(*many.front());
  judged(*many.back());
  EXPECT_EQ(near().sh("ip address add " + shared + "/32 dev eth0").status, 0);
  static_cast<void>(one().mustSh("ip route replace " + shared + " dev " + near().device()));
  EXPECT_FALSE(
      udpReaches({&near().ns(), Address::parse(shared), 0}, web().address(), 80, kNoAnswer));
  static_cast<void>(one().mustSh("ip route del " + shared));
  EXPECT_EQ(near().sh("ip address del " + shared + "/32 dev eth0").status, 0);
  for (auto* pod : many) cluster().removePod(*pod);
}

}  // namespace
}  // namespace margay::system_tests
