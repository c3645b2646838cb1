#include <gmock/gmock.h>
#include <poll.h>

#include "dataplane/network_monitor.h"
#include "dataplane/route_driver.h"
#include "tests/dataplane/network_namespace.h"

namespace margay::dataplane {
namespace {

using testing::mustShell;

class NetworkMonitors : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    mustShell(
        "ip link add d0 type veth peer name d1 && "
        "ip link set d0 addrgenmode none && ip link set d1 addrgenmode none && "
        "ip link set d1 up && ip link set d0 up");
    mustShell("ip link add br0 type bridge && ip link set br0 up");
    auto monitor = makeNetworkMonitor();
    ASSERT_TRUE(monitor.has_value()) << monitor.error().what;
    monitor_ = std::move(*monitor);
  }
  // Link-local addresses of d0 and d1 come when the kernel is done with them; not what is tested
  // here.
  NetworkEvents eventsOf(const std::string& command) {
    monitor_->read();
    mustShell(command);
    return monitor_->read();
  }
  [[nodiscard]] bool readable() const {
    pollfd waiting{monitor_->fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }

  std::unique_ptr<NetworkMonitor> monitor_;
};

TEST_F(NetworkMonitors, AreReadableExactlyUntilRead) {
  monitor_->read();
  mustShell("ip link add br1 type bridge");
  EXPECT_TRUE(readable());
  EXPECT_TRUE(monitor_->read().links);
  EXPECT_FALSE(readable());
}

TEST_F(NetworkMonitors, TellLinksAndAddressesApart) {
  EXPECT_TRUE(eventsOf("ip link set br0 mtu 1400").links);
  const auto events = eventsOf("ip addr add 10.0.0.1/24 dev br0");
  EXPECT_TRUE(events.addresses);
  EXPECT_FALSE(events.routes);
  EXPECT_FALSE(events.overflow);
}

TEST_F(NetworkMonitors, ReportRoutesOfOursInBothFamilies) {
  EXPECT_TRUE(eventsOf("ip route add 10.1.0.0/24 dev d0 proto 109").routes);
  EXPECT_TRUE(eventsOf("ip route del 10.1.0.0/24 dev d0 proto 109").routes);
  EXPECT_TRUE(eventsOf("ip -6 route add fd01::/64 dev d0 proto 109").routes);
  EXPECT_TRUE(eventsOf("ip -6 route del fd01::/64 dev d0 proto 109").routes);
}

TEST_F(NetworkMonitors, AreSilentAboutForeignRoutesButForReplacingOnes) {
  EXPECT_FALSE(eventsOf("ip route add 10.1.0.0/24 dev d0 proto static").routes);
  EXPECT_FALSE(eventsOf("ip route del 10.1.0.0/24 dev d0 proto static").routes);
  mustShell("ip route add 10.2.0.0/24 dev d0 proto 109");
  EXPECT_TRUE(eventsOf("ip route replace 10.2.0.0/24 dev br0 proto static").routes);
}

TEST_F(NetworkMonitors, ReportSettingsOfForwardingAndProxies) {
  EXPECT_TRUE(eventsOf("sysctl -qw net.ipv4.ip_forward=1").allSettings);
  for (const char* setting :
       {"ipv4.conf.d0.forwarding=0", "ipv4.conf.d0.proxy_arp=1", "ipv4.conf.d0.rp_filter=2",
        "ipv6.conf.d0.forwarding=1", "ipv6.conf.d0.proxy_ndp=1"})
    EXPECT_THAT(eventsOf(std::string("sysctl -qw net.") + setting).settings,
                ::testing::ElementsAre("d0"))
        << setting;
  const auto other = eventsOf("ip route add 10.1.0.0/24 dev d0 proto 109");
  EXPECT_FALSE(other.allSettings);
  EXPECT_THAT(other.settings, ::testing::IsEmpty());
}

TEST_F(NetworkMonitors, ReportRoutesThatTheKernelDropsInSilence) {
  mustShell("ip addr add 10.0.0.1/24 dev d0; ip addr add 10.0.1.1/24 dev d0");
  mustShell("ip route add 10.2.0.0/24 dev d0 src 10.0.1.1 proto 109");
  EXPECT_TRUE(eventsOf("ip addr del 10.0.1.1/24 dev d0").routes);
  EXPECT_EQ(mustShell("ip route show 10.2.0.0/24"), "");
  EXPECT_TRUE(eventsOf("ip link set d0 down").routes);
  EXPECT_TRUE(eventsOf("ip link del d0").routes);
}

TEST_F(NetworkMonitors, ReportPermanentNeighboursAndDeletions) {
  EXPECT_TRUE(
      eventsOf("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 nud permanent dev br0").neighbours);
  EXPECT_TRUE(eventsOf("ip neigh del 10.0.0.9 dev br0").neighbours);
  EXPECT_FALSE(
      eventsOf("ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:01 nud stale dev br0").neighbours);
}

Route routeNumber(std::uint32_t number) {
  Route route;
  route.key.destination = Prefix::host(Address::v4(0x0a000000U + number));
  route.scope = RouteScope::Link;
  route.device = "d0";
  return route;
}

TEST_F(NetworkMonitors, AreSilentAboutWhatTheirRouteDriverDid) {
  auto driver = makeRouteDriver();
  ASSERT_TRUE(driver.has_value());
  auto monitor = makeNetworkMonitor((*driver)->port());
  ASSERT_TRUE(monitor.has_value());
  monitor_ = std::move(*monitor);
  std::vector<Change<Route>> changes;
  for (std::uint32_t i = 0; i < 100000; ++i) changes.push_back({Op::Add, routeNumber(i)});
  for (const auto& result : (*driver)->apply(changes)) ASSERT_TRUE(result.has_value());
  auto route6 = routeNumber(0);
  route6.key.destination = *Prefix::parseNetwork("fd01::1");
  for (const auto op : {Op::Add, Op::Remove}) {
    const std::vector<Change<Route>> both{{op, routeNumber(0)}, {op, route6}};
    for (const auto& result : (*driver)->apply(both)) ASSERT_TRUE(result.has_value());
  }
  EXPECT_EQ(monitor_->read(), NetworkEvents{});
  EXPECT_TRUE(eventsOf("ip route del 10.0.0.1/32 dev d0 proto 109").routes);
  EXPECT_TRUE(eventsOf("ip -6 route add fd01::2 dev d0 proto 109").routes);
}

TEST_F(NetworkMonitors, SayOnceWhenNotificationsWereLost) {
  auto driver = makeRouteDriver();
  ASSERT_TRUE(driver.has_value());
  std::vector<Change<Route>> changes;
  for (std::uint32_t i = 0; i < 100000; ++i) changes.push_back({Op::Add, routeNumber(i)});
  for (const auto& result : (*driver)->apply(changes)) ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(monitor_->read().overflow);
  EXPECT_FALSE(monitor_->read().overflow);
  EXPECT_TRUE(eventsOf("ip route add 172.31.0.0/24 dev d0 proto 109").routes);
}

}  // namespace
}  // namespace margay::dataplane
