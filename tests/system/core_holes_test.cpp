#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/system/backend.h"
#include "tests/system/cluster.h"

/// Holes that a simpler packet path would have, each with the packets that would go through it.
namespace margay::system_tests {
namespace {

class CoreHoles : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    host_ = &cluster().addHost("one");
    cluster().addNamespace("default");
  }
  Pod& pod(const std::string& name, int n, const std::map<std::string, std::string>& labels = {}) {
    const auto number = std::to_string(n);
    return cluster().addPod(*host_, {.name = name,
                                     .addresses = {"10.65.1." + number, "fd65:0:0:1::" + number},
                                     .labels = labels});
  }
  Host& host() { return *host_; }

 private:
  Host* host_ = nullptr;
};

TEST_F(CoreHoles, APodSendsOnlyFromItsOwnAddresses) {
  auto& a = pod("a", 2);
  auto& b = pod("b", 3);
  auto& c = pod("c", 4);
  host().start();
  cluster().converge();
  const EchoServer server(b.ns(), 80);
  ASSERT_TRUE(udpReaches(a.from(), b.address(), 80, kPatience));
  for (const auto* stolen : {"10.65.1.4", "192.0.2.1"}) {
    static_cast<void>(a.sh("ip address add " + std::string(stolen) + "/32 dev eth0"));
    const From spoofed{&a.ns(), *Address::parse(stolen), 0};
    EXPECT_FALSE(udpReaches(spoofed, b.address(), 80, kNoAnswer)) << stolen;
    EXPECT_EQ(server.lastPeer(), "10.65.1.2") << "the packet itself did not arrive either";
  }
  // Also not within a flow that is established: same addresses and ports as c's.
  const From real{&c.ns(), c.address(), 5555};
  ASSERT_TRUE(udpReaches(real, b.address(), 80, kPatience));
  const auto before = server.received();
  const From inFlow{&a.ns(), c.address(), 5555};
  EXPECT_FALSE(udpReaches(inFlow, b.address(), 80, kNoAnswer));
  EXPECT_EQ(server.received(), before) << "the packet itself did not arrive either";
  ASSERT_TRUE(udpReaches(real, b.address(), 80, kPatience));
  EXPECT_GT(server.received(), before)
      << "it is the kernel that drops, not the server that is deaf";
  static_cast<void>(a.sh("ip -6 address add fd65:0:0:1::4/128 dev eth0 nodad"));
  const From spoofed6{&a.ns(), c.address(Family::V6), 0};
  EXPECT_FALSE(udpReaches(spoofed6, b.address(Family::V6), 80, kNoAnswer));
  EXPECT_NE(server.lastPeer(), c.address(Family::V6).str());
}

TEST_F(CoreHoles, APodDoesNotReachTheLoopbackOfItsHost) {
  auto& a = pod("a", 2);
  host().start({{"FELIX_DEFAULTENDPOINTTOHOSTACTION", "ACCEPT"}});
  cluster().converge();
  const auto loopback = *Address::parse("127.0.0.1");
  const From from{&a.ns(), a.address(), 0};
  const EchoServer server(host().ns(), 7000);
  EXPECT_TRUE(udpReaches(a.from(), Cluster::hostAddress(1), 7000, kPatience))
      << "the host itself is open by configuration";
  EXPECT_TRUE(udpReaches(host().from(), loopback, 7000, kPatience)) << "the server listens there";
  const auto readdressed = a.sh(
      "ip address delete 127.0.0.1/8 dev lo && ip route add 127.0.0.1 via 169.254.1.1 dev "
      "eth0 && sysctl -qw net.ipv4.conf.all.route_localnet=1");
  ASSERT_EQ(readdressed.status, 0) << readdressed.output;
  const auto before = server.received();
  EXPECT_FALSE(udpReaches(from, loopback, 7000, kNoAnswer));
  EXPECT_FALSE(tcpReaches(from, loopback, 7000, kNoAnswer));
  EXPECT_EQ(server.received(), before) << "the packet itself did not arrive either";
  // It is our rule that keeps it out: the same probe gets through without any.
  EXPECT_EQ(host().stop(), 0);
  wipeRules(host());
  EXPECT_TRUE(udpReaches(from, loopback, 7000, kPatience));
}

TEST_F(CoreHoles, AnAddressThatIsRoutedToAPodThatDoesNotOwnItIsDead) {
  auto& a = pod("a", 2);
  auto& b = pod("b", 3);
  host().start();
  cluster().converge();
  for (const auto* text : {"10.65.1.77", "10.77.0.1", "fd65:0:0:1::77"}) {
    const auto stolen = *Address::parse(text);
    const auto length = stolen.family() == Family::V4 ? "/32" : "/128";
    static_cast<void>(a.sh("ip address add " + (text + std::string(length)) + " dev eth0 nodad"));
    static_cast<void>(
        host().mustSh("ip route add " + (text + std::string(length)) + " dev " + a.device()));
    const EchoServer server(a.ns(), 80);
    EXPECT_TRUE(udpReaches(b.from(), a.address(stolen.family()), 80, kPatience));
    const auto before = server.received();
    EXPECT_FALSE(udpReaches(b.from(), stolen, 80, kNoAnswer)) << text;
    EXPECT_FALSE(tcpReaches(b.from(), stolen, 80, kNoAnswer)) << text;
    EXPECT_EQ(server.received(), before) << text << ": a packet was delivered";
    // The host may send there, as to every pod; the pod's answer is a packet that it may not send.
    EXPECT_FALSE(udpReaches(host().from(), stolen, 80, kNoAnswer)) << text;
    static_cast<void>(host().mustSh("ip route delete " + (text + std::string(length))));
    // What keeps it out is the address: once the pod has it, the same probe gets through.
    auto manifest = a.manifest();
    manifest.insert(manifest.rfind(']'), std::string(", {ip: \"") + text + "\"}");
    cluster().apply(a.manifestFile(), manifest);
    cluster().converge();
    EXPECT_TRUE(udpReaches(b.from(), stolen, 80, kPatience)) << text;
    cluster().rewrite(a);
    cluster().converge();
  }
}

TEST_F(CoreHoles, AnInterfaceThatNobodyKnowsSendsAndReceivesNothing) {
  auto& a = pod("a", 2);
  auto& stranger = pod("stranger", 9);
  cluster().remove(stranger.manifestFile());
  host().start();
  cluster().converge();
  static_cast<void>(host().mustSh("ip route add 10.65.1.9 dev " + stranger.device()));
  const EchoServer here(a.ns(), 80);
  const EchoServer there(stranger.ns(), 80);
  EXPECT_FALSE(udpReaches(stranger.from(), a.address(), 80, kNoAnswer));
  EXPECT_FALSE(udpReaches(a.from(), stranger.address(), 80, kNoAnswer));
  EXPECT_TRUE(there.lastPeer().empty()) << "the packet itself did not arrive either";
  EXPECT_TRUE(here.lastPeer().empty());
  // The same probes get through once it is known.
  static_cast<void>(host().mustSh("ip route delete 10.65.1.9 dev " + stranger.device()));
  cluster().rewrite(stranger);
  cluster().converge();
  EXPECT_TRUE(udpReaches(stranger.from(), a.address(), 80, kPatience));
  EXPECT_TRUE(udpReaches(a.from(), stranger.address(), 80, kPatience));
}

TEST_F(CoreHoles, AnAddressThatMovesTakesNoOldFlowWithIt) {
  auto& client = pod("client", 2);
  auto& first = pod("first", 3, {{"app", "open"}});
  cluster().apply("lock.yaml",
                  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: lock, "
                  "namespace: default}\n"
                  "spec: {podSelector: {matchLabels: {app: locked}}, policyTypes: [Ingress]}\n");
  host().start();
  cluster().converge();
  auto& second = pod("second", 30, {{"app", "locked"}});
  cluster().converge();
  const auto address = first.address();
  const From from{&client.ns(), client.address(), 6000};
  const EchoServer atFirst(first.ns(), 80);
  ASSERT_TRUE(udpReaches(from, address, 80, kPatience));
  // The address goes to the other pod, which lets nobody in.
  static_cast<void>(second.sh("ip address add 10.65.1.3/32 dev eth0"));
  const EchoServer atSecond(second.ns(), 80);
  cluster().apply("moved.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
  auto manifest = second.manifest();
  const auto at = manifest.find("10.65.1.30");
  manifest.replace(at, 10, "10.65.1.3");
  cluster().remove(first.manifestFile());
  cluster().apply(second.manifestFile(), manifest);
  cluster().converge();
  EXPECT_EQ(host().mustSh("ip -o route show 10.65.1.3 | grep -c " + second.device()), "1\n");
  EXPECT_FALSE(udpReaches(from, address, 80, kNoAnswer)) << "the old five-tuple";
  EXPECT_TRUE(atSecond.lastPeer().empty()) << "not one packet of the old flow arrived";
  EXPECT_EQ(host().mustSh("conntrack -L -d 10.65.1.3 2>/dev/null | grep -c ASSURED || true"),
            "0\n");
}

TEST_F(CoreHoles, AllowedFlowsPassWhereForwardDropsByPolicy) {
  auto& a = pod("a", 2);
  auto& b = pod("b", 3);
  static_cast<void>(
      host().mustSh("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP"));
  host().start();
  cluster().converge();
  const EchoServer server(b.ns(), 80);
  EXPECT_TRUE(tcpReaches(a.from(), b.address(), 80, kPatience));
  EXPECT_TRUE(tcpReaches(a.from(), b.address(Family::V6), 80, kPatience));
}

TEST_F(CoreHoles, NeighbourDiscoveryWorksUnderEgressDefaultDeny) {
  auto& a = pod("a", 2);
  auto& b = pod("b", 3, {{"app", "quiet"}});
  cluster().apply("quiet.yaml",
                  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: quiet, "
                  "namespace: default}\n"
                  "spec: {podSelector: {matchLabels: {app: quiet}}, policyTypes: [Egress]}\n");
  host().start();
  cluster().converge();
  static_cast<void>(b.sh("ip -6 neigh flush all"));
  const EchoServer server(b.ns(), 80);
  EXPECT_TRUE(tcpReaches(a.from(), b.address(Family::V6), 80, kPatience))
      << "answers of an allowed flow";
  EXPECT_FALSE(udpReaches(b.from(), a.address(Family::V6), 80, kNoAnswer));
}

}  // namespace
}  // namespace margay::system_tests
