#include <gmock/gmock.h>
#include <unistd.h>

#include "dataplane/netlink_namespace.h"
#include "dataplane/workload_wiring.h"
#include "tests/dataplane/network_namespace.h"

namespace margay::dataplane {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::mustShell;
using testing::NetworkNamespace;
using ::testing::Not;

Address address(std::string_view text) {
  return *Address::parse(text);
}

/// The test's namespace plays the host.
class Wiring : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    for (auto* container : {&first_, &second_}) {
      auto made = NetworkNamespace::create();
      ASSERT_TRUE(made.has_value()) << made.error().what;
      container->emplace(std::move(*made));
    }
    mustShell("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    // The kernel answers ARP for 169.254.1.1 only where it has a route to it: a host's default
    // route.
    mustShell("ip link add uplink type bridge && ip link set uplink up");
    mustShell("ip route add default dev uplink");
  }

  static std::string in(const NetworkNamespace& container, const std::string& command) {
    return testing::shell("nsenter --net=" + container.path() + " " + command).output;
  }
  static bool succeedsIn(const NetworkNamespace& container, const std::string& command) {
    return testing::shell("nsenter --net=" + container.path() + " " + command).status == 0;
  }
  WorkloadWiring toFirst() {
    return {.netns = first_->path(),
            .hostInterface = "cali1",
            .addresses = {address("10.65.0.1"), address("fd65::1")},
            .mtu = 1450};
  }
  static void mustWire(const WorkloadWiring& wiring) {
    const auto wired = wireWorkload(wiring);
    ASSERT_TRUE(wired.has_value()) << wired.error().what;
  }
  /// What the agent does for a workload.
  static void routeToContainer(const WorkloadWiring& wiring) {
    const auto& host = wiring.hostInterface;
    mustShell("sysctl -qw net.ipv4.conf." + host + ".proxy_arp=1 net.ipv4.neigh." + host +
              ".proxy_delay=0 net.ipv6.conf." + host + ".proxy_ndp=1");
    for (const auto& one : wiring.addresses) {
      mustShell("ip route add " + Prefix::host(one).str() + " dev " + host);
    }
  }

  std::optional<NetworkNamespace> first_;
  std::optional<NetworkNamespace> second_;
};

TEST_F(Wiring, GivesTheContainerAnInterfaceAsCalicoDoes) {
  auto wiring = toFirst();
  wiring.containerMac = MacAddress{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
  const auto wired = wireWorkload(wiring);
  ASSERT_TRUE(wired.has_value()) << wired.error().what;

  EXPECT_EQ(wired->link.name, "eth0");
  EXPECT_EQ(wired->link.mac, *wiring.containerMac);
  EXPECT_EQ(wired->link.mtu, 1450U);
  EXPECT_TRUE(wired->link.up);
  EXPECT_THAT(wired->addresses, Contains(Prefix::host(address("10.65.0.1"))));
  EXPECT_THAT(wired->addresses, Contains(Prefix::host(address("fd65::1"))));

  EXPECT_EQ(in(*first_, "ip -4 route"),
            "default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link \n");
  EXPECT_THAT(in(*first_, "ip -6 route"),
              HasSubstr("default via fe80::ecee:eeff:feee:eeee dev eth0"));
  EXPECT_THAT(in(*first_, "ip -6 neigh"),
              HasSubstr("fe80::ecee:eeff:feee:eeee dev eth0 lladdr ee:ee:ee:ee:ee:ee"));
  EXPECT_THAT(in(*first_, "ip -6 addr show dev eth0"), Not(HasSubstr("tentative")));
  EXPECT_EQ(in(*first_, "cat /proc/sys/net/ipv4/ip_forward"), "0\n");

  const auto host = mustShell("ip -d addr show cali1");
  EXPECT_THAT(host, HasSubstr("ee:ee:ee:ee:ee:ee"));
  EXPECT_THAT(host, HasSubstr("mtu 1450"));
  EXPECT_THAT(host, HasSubstr(",UP"));
  EXPECT_THAT(host, HasSubstr("fe80::ecee:eeff:feee:eeee"));
  EXPECT_THAT(host, Not(HasSubstr("tentative")));
}

TEST_F(Wiring, LetsContainersTalkWhenTheHostRoutesAndAnswersArp) {
  const auto a = toFirst();
  WorkloadWiring b = a;
  b.netns = second_->path();
  b.hostInterface = "cali2";
  b.addresses = {address("10.65.0.2"), address("fd65::2")};
  for (const auto& wiring : {a, b}) {
    mustWire(wiring);
    routeToContainer(wiring);
  }
  EXPECT_TRUE(succeedsIn(*first_, "ping -c1 -W5 10.65.0.2")) << in(*first_, "ip neigh");
  EXPECT_TRUE(succeedsIn(*second_, "ping -c1 -W5 10.65.0.1")) << in(*second_, "ip neigh");
  EXPECT_TRUE(succeedsIn(*first_, "ping -c1 -W5 fd65::2")) << in(*first_, "ip -6 neigh");
}

TEST_F(Wiring, LetsContainersWithOnLinkDefaultRoutesTalkToo) {
  auto a = toFirst();
  a.hostInterface = "tap0123456789a";
  a.addresses = {address("192.168.1.1")};
  a.routing = ContainerRouting::OnLink;
  WorkloadWiring b = a;
  b.netns = second_->path();
  b.hostInterface = "tap0123456789b";
  b.addresses = {address("192.168.1.2")};
  for (const auto& wiring : {a, b}) {
    mustWire(wiring);
    routeToContainer(wiring);
  }
  EXPECT_EQ(in(*first_, "ip -4 route"), "default dev eth0 scope link \n");
  EXPECT_TRUE(succeedsIn(*first_, "ping -c1 -W5 192.168.1.2")) << in(*first_, "ip neigh");
}

TEST_F(Wiring, TakesTheRoutesThatAreAskedForInsteadOfDefaultOnes) {
  auto wiring = toFirst();
  wiring.routes = {*Prefix::parseNetwork("10.0.0.0/8"), *Prefix::parseNetwork("fd00::/8")};
  mustWire(wiring);
  const auto routes = in(*first_, "ip -4 route");
  EXPECT_THAT(routes, HasSubstr("10.0.0.0/8 via 169.254.1.1 dev eth0"));
  EXPECT_THAT(routes, Not(HasSubstr("default")));
  EXPECT_THAT(in(*first_, "ip -6 route"), HasSubstr("fd00::/8 via fe80::ecee:eeff:feee:eeee"));
}

TEST_F(Wiring, CanLetTheContainerForward) {
  auto wiring = toFirst();
  wiring.forwarding = ContainerForwarding::On;
  mustWire(wiring);
  EXPECT_EQ(in(*first_, "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
}

TEST_F(Wiring, LeavesNothingBehindWhenItFails) {
  auto wiring = toFirst();
  wiring.addresses.push_back(wiring.addresses.front());  // the kernel refuses the second
  const auto wired = wireWorkload(wiring);
  ASSERT_FALSE(wired.has_value());
  EXPECT_THAT(wired.error().what, HasSubstr("add address 10.65.0.1"));
  EXPECT_THAT(mustShell("ip -o link"), Not(HasSubstr("cali1")));
  EXPECT_THAT(in(*first_, "ip -o link"), Not(HasSubstr("eth0")));
  wiring.addresses.pop_back();
  mustWire(wiring);
}

TEST_F(Wiring, RefusesAContainerThatHasTheInterfaceAndChangesNothing) {
  const auto wiring = toFirst();
  mustWire(wiring);
  const auto before = mustShell("ip -o link show cali1");
  const auto again = wireWorkload(wiring);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::Invalid);
  EXPECT_EQ(again.error().sysErrno, EEXIST);
  EXPECT_EQ(mustShell("ip -o link show cali1"), before);
}

TEST_F(Wiring, ReplacesAHostInterfaceOfAnOlderContainer) {
  mustWire(toFirst());
  auto wiring = toFirst();
  wiring.netns = second_->path();
  mustWire(wiring);
  EXPECT_THAT(in(*first_, "ip -o link"), Not(HasSubstr("eth0")));
  EXPECT_THAT(in(*second_, "ip -o link"), HasSubstr("eth0"));
}

TEST_F(Wiring, NeverReplacesAnInterfaceThatIsNoVeth) {
  mustShell("ip link add cali1 type bridge");
  const auto wired = wireWorkload(toFirst());
  ASSERT_FALSE(wired.has_value());
  EXPECT_EQ(wired.error().code, Errc::Invalid);
  EXPECT_THAT(mustShell("ip -d link show cali1"), HasSubstr("bridge"));
  EXPECT_EQ(unwireHost("cali1").error().code, Errc::Invalid);
}

TEST_F(Wiring, RefusesTheHostsOwnNamespaceAndNamesThatCannotBe) {
  auto wiring = toFirst();
  wiring.netns = netns_->path();
  EXPECT_EQ(wireWorkload(wiring).error().code, Errc::Invalid);
  EXPECT_EQ(unwireContainer(netns_->path(), "eth0").error().code, Errc::Invalid);
  for (const std::string name : {"", "a/b", "..", "sixteen-letters!", "two words"}) {
    wiring = toFirst();
    wiring.hostInterface = name;
    EXPECT_EQ(wireWorkload(wiring).error().code, Errc::Invalid) << name;
  }
  wiring = toFirst();
  wiring.addresses = {address("10.65.0.1")};
  wiring.routes = {*Prefix::parseNetwork("fd00::/8")};
  EXPECT_EQ(wireWorkload(wiring).error().code, Errc::Invalid);
}

TEST_F(Wiring, IsInspectedAndUndoneFromEitherEnd) {
  EXPECT_EQ(inspectWorkload(first_->path(), "eth0").value(), std::nullopt);
  EXPECT_EQ(unwireContainer(first_->path(), "eth0").value(), false);
  EXPECT_EQ(unwireHost("cali1").value(), false);

  mustWire(toFirst());
  const auto found = inspectWorkload(first_->path(), "eth0").value();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->link.mtu, 1450U);
  EXPECT_EQ(unwireContainer(first_->path(), "eth0").value(), true);
  EXPECT_THAT(mustShell("ip -o link"), Not(HasSubstr("cali1")));

  mustWire(toFirst());
  EXPECT_EQ(unwireHost("cali1").value(), true);
  EXPECT_EQ(inspectWorkload(first_->path(), "eth0").value(), std::nullopt);
}

TEST_F(Wiring, SucceedsInRemovingFromANamespaceThatIsGone) {
  EXPECT_EQ(unwireContainer("/var/run/netns/margay-no-such", "eth0").value(), false);
  EXPECT_EQ(inspectWorkload("/var/run/netns/margay-no-such", "eth0").error().code, Errc::NotFound);
  auto wiring = toFirst();
  wiring.netns = "margay-no-such";
  EXPECT_EQ(wireWorkload(wiring).error().code, Errc::NotFound);
}

TEST_F(Wiring, LeavesTheCallingThreadInItsNamespace) {
  const auto before = mustShell("readlink /proc/self/ns/net");
  mustWire(toFirst());
  static_cast<void>(unwireContainer(first_->path(), "eth0"));
  EXPECT_EQ(mustShell("readlink /proc/self/ns/net"), before);
}

TEST_F(Wiring, FindsNamespacesByProcessNumberAndName) {
  EXPECT_TRUE(NamespaceHandle::open(std::to_string(::getpid())).value().isOwn().value());
  const std::string name = "margay-test-" + std::to_string(::getpid());
  mustShell("ip netns add " + name);
  {
    const auto named = NamespaceHandle::open(name);
    ASSERT_TRUE(named.has_value()) << named.error().what;
    EXPECT_FALSE(named->isOwn().value());
  }
  mustShell("ip netns del " + name);
  EXPECT_EQ(NamespaceHandle::open(name).error().code, Errc::NotFound);
  EXPECT_EQ(NamespaceHandle::open("").error().code, Errc::NotFound);
  EXPECT_EQ(NamespaceHandle::open("/etc/passwd").error().code, Errc::Invalid);
  EXPECT_EQ(NamespaceHandle::open("/proc/self/ns/mnt").error().code, Errc::Invalid);
}

}  // namespace
}  // namespace margay::dataplane
