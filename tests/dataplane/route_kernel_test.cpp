#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ostream>
#include <tuple>

#include "dataplane/route_driver.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/fakes/fake_route_driver.h"

// What only a real kernel can show: several routes of one key, and that the fake goes wherever it
// goes.
namespace margay {

/// How rapidcheck prints a counterexample.
static void showValue(const Change<dataplane::Route>& change, std::ostream& out) {
  static const std::array kOps{"add", "replace", "remove"};
  out << kOps.at(static_cast<std::size_t>(change.op)) << ' ' << change.value.key.destination.str()
      << " metric " << change.value.key.metric << " dev " << change.value.device;
}

}  // namespace margay

namespace margay::dataplane {
namespace {

using ::testing::HasSubstr;

using testing::mustShell;

class KernelRoutes : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    for (const std::string name : {"d0", "d1", "d2"}) {
      mustShell("ip link add " + name + " type veth peer name p" + name + " && ip link set p" +
                name + " up && ip link set " + name + " up");
    }
    auto driver = makeRouteDriver();
    ASSERT_TRUE(driver.has_value()) << driver.error().what;
    driver_ = std::move(*driver);
  }

  static Route toDevice(const Prefix& destination, const IfName& device, std::uint32_t metric) {
    Route route;
    route.key = {destination, kMainTable, metric};
    if (destination.family() == Family::V4) route.scope = RouteScope::Link;
    route.device = device;
    return route;
  }
  static Route toDevice(std::string_view destination, const IfName& device) {
    const auto prefix = *Prefix::parseNetwork(destination);
    return toDevice(prefix, device, prefix.family() == Family::V6 ? 1024 : 0);
  }
  Result<void> applyOne(Op op, const Route& route) {
    return driver_->apply(std::vector<Change<Route>>{{op, route}})[0];
  }

  std::unique_ptr<RouteDriver> driver_;
};

TEST_F(KernelRoutes, LeaveAForeignRouteBehindOursOfTheSameKey) {
  mustShell("ip route add 10.9.0.0/16 dev d0 proto 109");
  mustShell("ip route append 10.9.0.0/16 dev d1 proto static");
  ASSERT_TRUE(applyOne(Op::Replace, toDevice("10.9.0.0/16", "d2")).has_value());
  EXPECT_THAT(mustShell("ip route show 10.9.0.0/16 proto static"), HasSubstr("dev d1"));
  EXPECT_THAT(mustShell("ip route show 10.9.0.0/16 proto 109"), HasSubstr("dev d2"));
  ASSERT_TRUE(applyOne(Op::Remove, toDevice("10.9.0.0/16", "d2")).has_value());
  EXPECT_THAT(mustShell("ip route show 10.9.0.0/16"), HasSubstr("dev d1 proto static"));
}

TEST_F(KernelRoutes, DoNotReplaceAForeignRouteThatHidesOurs) {
  mustShell("ip route add 10.9.0.0/16 dev d0 proto 109");
  mustShell("ip route prepend 10.9.0.0/16 dev d1 proto static");
  for (const Op op : {Op::Add, Op::Replace}) {
    const auto result = applyOne(op, toDevice("10.9.0.0/16", "d2"));
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::Invalid);
  }
  EXPECT_THAT(mustShell("ip route show 10.9.0.0/16"), HasSubstr("dev d1 proto static"));
}

TEST_F(KernelRoutes, DoNotReplaceAForeignIpv6RouteBesideOurs) {
  mustShell("ip -6 route add fd09::/64 dev d0 proto 109");
  mustShell("ip -6 route append fd09::/64 dev d1 proto static");
  EXPECT_EQ(applyOne(Op::Replace, toDevice("fd09::/64", "d2")).error().code, Errc::Invalid);
  EXPECT_THAT(mustShell("ip -6 route show fd09::/64"), HasSubstr("dev d1 proto static"));
}

TEST_F(KernelRoutes, PutOneInPlaceOfSeveralThatCarryOurMark) {
  mustShell("ip route add 10.9.0.0/16 dev d0 proto 109");
  mustShell("ip route append 10.9.0.0/16 dev d1 proto 109");
  mustShell("ip route append 10.9.0.0/16 dev d2 proto 109");
  mustShell("ip -6 route add fd09::/64 dev d0 proto 109");
  mustShell("ip -6 route append fd09::/64 dev d1 proto 109");
  for (const std::string destination : {"10.9.0.0/16", "fd09::/64"}) {
    const auto wanted = toDevice(destination, "d2");
    const auto result = applyOne(Op::Replace, wanted);
    ASSERT_TRUE(result.has_value()) << result.error().what;
    const std::string family = wanted.key.destination.family() == Family::V6 ? "-6 " : "-4 ";
    const auto shown = mustShell("ip " + family + "route show proto 109 " + destination);
    EXPECT_THAT(shown, HasSubstr("dev d2"));
    EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 1) << shown;
  }
}

TEST_F(KernelRoutes, ReadSeveralNextHopsAsARouteThatNobodyWants) {
  mustShell("ip addr add 192.168.7.1/24 dev d0 && ip addr add fd07::1/64 dev d0 nodad");
  mustShell("ip route add 10.9.0.0/16 proto 109 nexthop via 192.168.7.2 nexthop via 192.168.7.3");
  mustShell("ip -6 route add fd09::/64 proto 109 nexthop via fd07::2 nexthop via fd07::3");
  auto routes = driver_->list();
  ASSERT_TRUE(routes.has_value());
  ASSERT_EQ(routes->size(), 2U);
  for (const auto& [key, route] : *routes) {
    EXPECT_TRUE(route.device.empty());
    EXPECT_EQ(route.gateway, std::nullopt);
    ASSERT_TRUE(applyOne(Op::Replace, toDevice(key.destination, "d1", key.metric)).has_value());
  }
  EXPECT_THAT(mustShell("ip route show proto 109"), HasSubstr("dev d1"));
  EXPECT_THAT(mustShell("ip -6 route show proto 109"), HasSubstr("dev d1"));
  EXPECT_EQ(driver_->list().value().size(), 2U);
}

TEST_F(KernelRoutes, StayInTheNamespaceInWhichTheDriverWasMade) {
  const auto route = toDevice("10.0.0.1/32", "d0");
  auto other = testing::NetworkNamespace::create();
  ASSERT_TRUE(other.has_value());
  {
    const auto inside = other->enter();
    ASSERT_TRUE(applyOne(Op::Add, route).has_value());
    EXPECT_EQ(mustShell("ip route show proto 109"), "");
    EXPECT_EQ(driver_->list().value(), (RouteMap{{route.key, route}}));
  }
  EXPECT_THAT(mustShell("ip route show proto 109"), HasSubstr("10.0.0.1"));
}

// Few destinations, devices and metrics, so that changes collide.
rc::Gen<Change<Route>> anyChange() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 6), rc::gen::inRange(0, 4), rc::gen::inRange(0, 3),
                     rc::gen::inRange(0, 3)),
      [](const std::tuple<int, int, int, int>& choice) {
        const auto [destination, device, metric, op] = choice;
        static const std::array kDestinations{"10.0.0.1/32", "10.0.0.0/24", "0.0.0.0/0",
                                              "fd00::1/128", "fd00::/64",   "::/0"};
        static const std::array kDevices{"d0", "d1", "d2", "gone0"};
        static const std::array<std::uint32_t, 3> kMetrics{0, 7, 1024};
        static const std::array kOps{Op::Add, Op::Replace, Op::Remove};
        Change<Route> change;
        change.op = kOps.at(static_cast<std::size_t>(op));
        Route& route = change.value;
        route.key.destination =
            *Prefix::parseNetwork(kDestinations.at(static_cast<std::size_t>(destination)));
        route.key.metric = kMetrics.at(static_cast<std::size_t>(metric));
        route.device = kDevices.at(static_cast<std::size_t>(device));
        if (route.key.destination.family() == Family::V4) route.scope = RouteScope::Link;
        return change;
      });
}

TEST_F(KernelRoutes, GoWhereTheFakeGoesUnderAnyChanges) {
  const auto agree = rc::check("kernel and fake agree after each apply", [&] {
    const auto leftover = driver_->list();
    RC_ASSERT(leftover.has_value());
    std::vector<Change<Route>> removals;
    for (const auto& [key, route] : *leftover) removals.push_back({Op::Remove, route});
    for (const auto& result : driver_->apply(removals)) RC_ASSERT(result.has_value());
    testing::FakeRouteDriver fake;
    for (const auto* device : {"d0", "d1", "d2"}) fake.addDevice(device);

    const auto batches = *rc::gen::container<std::vector<std::vector<Change<Route>>>>(
        rc::gen::container<std::vector<Change<Route>>>(anyChange()));
    for (const auto& changes : batches) {
      const auto kernelResults = driver_->apply(changes);
      const auto fakeResults = fake.apply(changes);
      RC_ASSERT(kernelResults.size() == changes.size());
      for (std::size_t i = 0; i < changes.size(); ++i) {
        RC_ASSERT(kernelResults[i].has_value() == fakeResults[i].has_value());
        if (kernelResults[i]) continue;
        RC_ASSERT(kernelResults[i].error().code == fakeResults[i].error().code);
      }
      const auto kernel = driver_->list();
      RC_ASSERT(kernel.has_value());
      RC_ASSERT(*kernel == fake.routes());
    }
  });
  EXPECT_TRUE(agree);
}

TEST(FakeRoutes, FailTheCallThatTheyAreToldTo) {
  testing::FakeRouteDriver fake;
  fake.addDevice("d0");
  fake.failCall(2, {Errc::Transient, EBUSY, "busy"});
  fake.failCall(4, {Errc::Interrupted, 0, "torn"});
  Route route;
  route.device = "d0";
  std::vector<Change<Route>> changes(3, {Op::Add, route});
  for (std::uint32_t i = 0; i < 3; ++i) {
    changes[i].value.key.destination = Prefix::host(Address::v4(0x0a000000U + i));
  }
  const auto results = fake.apply(changes);
  EXPECT_TRUE(results[0].has_value());
  EXPECT_EQ(results[1].error().sysErrno, EBUSY);
  EXPECT_TRUE(results[2].has_value());
  EXPECT_EQ(fake.list().error().code, Errc::Interrupted);
  EXPECT_EQ(fake.list().value().size(), 2U);
  EXPECT_EQ(fake.calls(), 5U);
}

}  // namespace
}  // namespace margay::dataplane
