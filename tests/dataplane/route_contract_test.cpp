#include <gmock/gmock.h>

#include "dataplane/route_driver.h"
#include "tests/dataplane/contract.h"
#include "tests/fakes/fake_route_driver.h"

// What every RouteDriver promises, on the real kernel and on the fake that other tests stand on.
namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint8_t kForeignProtocol = 4;  // "static"

class KernelWorld : public testing::KernelWorldWith<makeRouteDriver> {
 public:
  void addDevice(const IfName& name) { testing::addVeth(name); }
  void removeDevice(const IfName& name) { testing::removeLink(name); }
  void addAddress(const IfName& device, const Prefix& address) {
    testing::mustShell("ip addr add " + address.str() + " dev " + device + " nodad");
  }
  void addForeign(const Route& route) { testing::mustShell("ip route add " + text(route)); }
  bool hasForeign(const Route& route) {
    const auto& key = route.key;
    const auto family = key.destination.family() == Family::V6 ? "ip -6" : "ip";
    return !testing::mustShell(std::string(family) + " route show proto static table " +
                               std::to_string(key.table) + " exact " + key.destination.str())
                .empty();
  }

 private:
  static std::string text(const Route& route) {
    return route.key.destination.str() + " dev " + route.device + " proto static table " +
           std::to_string(route.key.table) + " metric " + std::to_string(route.key.metric);
  }
};

class FakeWorld : public testing::FakeWorldWith<testing::FakeRouteDriver> {
 public:
  void addDevice(const IfName& name) { fake_.addDevice(name); }
  void removeDevice(const IfName& name) { fake_.removeDevice(name); }
  void addAddress(const IfName& device, const Prefix& address) {
    fake_.addAddress(device, address);
  }
  void addForeign(const Route& route) { fake_.addForeign(route, kForeignProtocol); }
  bool hasForeign(const Route& route) { return fake_.hasForeign(route.key); }
};

template <class World>
class RouteContract : public testing::Contract<World> {
 protected:
  void SetUp() override {
    testing::Contract<World>::SetUp();
    if (this->IsSkipped()) return;
    world_.addDevice("d0");
    world_.addDevice("d1");
  }

  static Prefix net(std::string_view text) { return *Prefix::parseNetwork(text); }
  static Route toDevice(std::string_view destination, const IfName& device,
                        std::uint32_t metric = 0, std::uint32_t table = kMainTable) {
    Route route;
    route.key = {net(destination), table, metric};
    if (route.key.destination.family() == Family::V6 && metric == 0) route.key.metric = 1024;
    if (route.key.destination.family() == Family::V4) route.scope = RouteScope::Link;
    route.device = device;
    return route;
  }
  static Route blackhole(std::string_view destination) {
    Route route = toDevice(destination, "");
    route.type = RouteType::Blackhole;
    route.scope = RouteScope::Universe;
    return route;
  }
  static Route viaGateway(std::string_view destination, const IfName& device,
                          std::string_view gateway) {
    Route route = toDevice(destination, device);
    route.scope = RouteScope::Universe;
    route.gateway = *Address::parse(gateway);
    return route;
  }

  std::vector<Result<void>> apply(Op op, const std::vector<Route>& routes) {
    std::vector<Change<Route>> changes;
    for (const auto& route : routes) changes.push_back({op, route});
    return world_.driver().apply(changes);
  }
  void mustApply(Op op, const std::vector<Route>& routes) {
    const auto results = apply(op, routes);
    ASSERT_THAT(results, SizeIs(routes.size()));
    for (const auto& result : results) EXPECT_TRUE(result.has_value()) << result.error().what;
  }
  std::vector<Route> listed() {
    auto routes = world_.driver().list();
    EXPECT_TRUE(routes.has_value()) << routes.error().what;
    std::vector<Route> values;
    if (routes) {
      for (auto& [key, route] : *routes) {
        EXPECT_EQ(key, route.key);
        values.push_back(std::move(route));
      }
    }
    return values;
  }

  using testing::Contract<World>::world_;
};

using Worlds = ::testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(RouteContract, Worlds, testing::WorldNames);

TYPED_TEST(RouteContract, ListsNothingWhereNothingIsOurs) {
  this->world_.addForeign(this->toDevice("10.9.0.0/16", "d0"));
  EXPECT_THAT(this->listed(), IsEmpty());
}

TYPED_TEST(RouteContract, ListsWhatWasAddedInTheOrderOfTheirKeys) {
  const auto a = this->toDevice("10.0.0.1/32", "d0");
  const auto b = this->toDevice("10.0.0.2/32", "d1");
  const auto c = this->toDevice("fd00::1/128", "d0");
  this->mustApply(Op::Add, {c, b, a});
  EXPECT_THAT(this->listed(), ElementsAre(a, b, c));
}

TYPED_TEST(RouteContract, AddReplacesOurRouteOfTheSameKey) {
  this->mustApply(Op::Add,
                  {this->toDevice("10.0.0.1/32", "d0"), this->toDevice("fd00::1/128", "d0")});
  const auto v4 = this->toDevice("10.0.0.1/32", "d1");
  const auto v6 = this->toDevice("fd00::1/128", "d1");
  this->mustApply(Op::Add, {v4, v6});
  EXPECT_THAT(this->listed(), ElementsAre(v4, v6));
}

TYPED_TEST(RouteContract, ReplaceReplacesAndAddsWhatIsMissing) {
  this->mustApply(Op::Add,
                  {this->toDevice("10.0.0.1/32", "d0"), this->toDevice("fd00::1/128", "d0")});
  const std::vector<Route> wanted{
      this->toDevice("10.0.0.1/32", "d1"), this->toDevice("10.0.0.2/32", "d1"),
      this->toDevice("fd00::1/128", "d1"), this->toDevice("fd00::2/128", "d1")};
  this->mustApply(Op::Replace, wanted);
  EXPECT_EQ(this->listed(), wanted);
}

TYPED_TEST(RouteContract, ReplacesAGatewayByADeviceAndBack) {
  this->world_.addAddress("d0", *Prefix::parseAddress("192.168.7.1/24"));
  this->world_.addAddress("d0", *Prefix::parseAddress("fd07::1/64"));
  const std::vector<Route> byGateway{this->viaGateway("10.0.0.0/24", "d0", "192.168.7.2"),
                                     this->viaGateway("fd00::/64", "d0", "fd07::2")};
  const std::vector<Route> byDevice{this->toDevice("10.0.0.0/24", "d1"),
                                    this->toDevice("fd00::/64", "d1")};
  for (const auto* wanted : {&byGateway, &byDevice, &byGateway}) {
    this->mustApply(Op::Replace, *wanted);
    EXPECT_EQ(this->listed(), *wanted);
  }
}

TYPED_TEST(RouteContract, ReplacesAnIpv6GatewayInsteadOfAddingANextHop) {
  this->world_.addAddress("d0", *Prefix::parseAddress("fd07::1/64"));
  this->mustApply(Op::Add, {this->viaGateway("fd00::/64", "d0", "fd07::2")});
  const auto wanted = this->viaGateway("fd00::/64", "d0", "fd07::3");
  this->mustApply(Op::Add, {wanted});
  EXPECT_THAT(this->listed(), ElementsAre(wanted));
}

TYPED_TEST(RouteContract, RemovesWhatIsThereAndIsContentWithWhatIsGone) {
  const auto a = this->toDevice("10.0.0.1/32", "d0");
  const auto b = this->toDevice("fd00::1/128", "d0");
  const auto c = this->toDevice("10.0.0.3/32", "d0");
  this->mustApply(Op::Add, {a, b, c});
  this->mustApply(Op::Remove, {a, b});
  EXPECT_THAT(this->listed(), ElementsAre(c));
  this->mustApply(Op::Remove, {a, b, this->toDevice("10.0.0.9/32", "d0", 5, 77)});
  EXPECT_THAT(this->listed(), ElementsAre(c));
}

TYPED_TEST(RouteContract, NeverReplacesAForeignRouteOfTheSameKey) {
  for (const std::string destination : {"10.9.0.0/16", "fd09::/64"}) {
    const auto foreign = this->toDevice(destination, "d0");
    this->world_.addForeign(foreign);
    for (const Op op : {Op::Add, Op::Replace}) {
      const auto results = this->apply(op, {this->toDevice(destination, "d1")});
      ASSERT_THAT(results, SizeIs(1));
      ASSERT_FALSE(results[0].has_value());
      EXPECT_EQ(results[0].error().code, Errc::Invalid);
      EXPECT_THAT(results[0].error().what, HasSubstr("protocol 4"));
    }
    EXPECT_TRUE(this->world_.hasForeign(foreign));
  }
  EXPECT_THAT(this->listed(), IsEmpty());
}

TYPED_TEST(RouteContract, NeverRemovesAForeignRouteOfTheSameKey) {
  for (const std::string destination : {"10.9.0.0/16", "fd09::/64"}) {
    const auto foreign = this->toDevice(destination, "d0");
    this->world_.addForeign(foreign);
    this->mustApply(Op::Remove, {foreign});
    EXPECT_TRUE(this->world_.hasForeign(foreign));
  }
}

TYPED_TEST(RouteContract, LivesBesideAForeignRouteOfAnotherMetricOrTable) {
  const auto foreign = this->toDevice("10.9.0.0/16", "d0", 50);
  this->world_.addForeign(foreign);
  const auto metric = this->toDevice("10.9.0.0/16", "d1", 60);
  const auto table = this->toDevice("10.9.0.0/16", "d1", 50, 1000);
  this->mustApply(Op::Add, {metric, table});
  EXPECT_THAT(this->listed(), ElementsAre(metric, table));
  this->mustApply(Op::Remove, {metric, table});
  EXPECT_THAT(this->listed(), IsEmpty());
  EXPECT_TRUE(this->world_.hasForeign(foreign));
}

TYPED_TEST(RouteContract, MissingDeviceFailsOnlyItsOwnChange) {
  const auto good = this->toDevice("10.0.0.1/32", "d0");
  const auto alsoGood = this->toDevice("10.0.0.3/32", "d0");
  const auto results =
      this->apply(Op::Add, {good, this->toDevice("10.0.0.2/32", "gone0"), alsoGood});
  ASSERT_THAT(results, SizeIs(3));
  EXPECT_TRUE(results[0].has_value());
  ASSERT_FALSE(results[1].has_value());
  EXPECT_EQ(results[1].error().code, Errc::NotFound);
  EXPECT_THAT(results[1].error().what, HasSubstr("10.0.0.2/32"));
  EXPECT_TRUE(results[2].has_value());
  EXPECT_THAT(this->listed(), ElementsAre(good, alsoGood));
}

TYPED_TEST(RouteContract, UnreachableGatewayIsTransientAndFailsOnlyItsOwnChange) {
  const auto good = this->toDevice("10.0.0.1/32", "d0");
  const auto results =
      this->apply(Op::Add, {this->viaGateway("10.1.0.0/24", "", "172.31.0.9"), good});
  ASSERT_THAT(results, SizeIs(2));
  ASSERT_FALSE(results[0].has_value());
  EXPECT_EQ(results[0].error().code, Errc::Transient);
  EXPECT_TRUE(results[1].has_value());
}

TYPED_TEST(RouteContract, FindsTheDeviceOfAGatewayThatComesWithoutOne) {
  this->world_.addAddress("d1", *Prefix::parseAddress("192.168.7.1/24"));
  this->mustApply(Op::Add, {this->viaGateway("10.0.0.0/24", "", "192.168.7.2")});
  EXPECT_THAT(this->listed(), ElementsAre(this->viaGateway("10.0.0.0/24", "d1", "192.168.7.2")));
}

TYPED_TEST(RouteContract, TakesOnLinkGatewaysThatNothingReaches) {
  auto v4 = this->viaGateway("10.0.0.0/24", "d0", "172.31.0.9");
  v4.onLink = true;
  auto v6 = this->viaGateway("fd00::/64", "d0", "fd31::9");
  v6.onLink = true;
  this->mustApply(Op::Add, {v4, v6});
  EXPECT_THAT(this->listed(), ElementsAre(v4, v6));
}

TYPED_TEST(RouteContract, KeepsBlackholesWithoutADevice) {
  const auto v4 = this->blackhole("10.0.0.0/26");
  const auto v6 = this->blackhole("fd00::/122");
  this->mustApply(Op::Add, {v4, v6});
  EXPECT_THAT(this->listed(), ElementsAre(v4, v6));
  const auto device = this->toDevice("10.0.0.0/26", "d0");
  this->mustApply(Op::Replace, {device});
  EXPECT_THAT(this->listed(), ElementsAre(device, v6));
}

TYPED_TEST(RouteContract, KeepsTheSourceAddress) {
  this->world_.addAddress("d0", *Prefix::parseAddress("192.168.7.1/24"));
  auto route = this->toDevice("10.0.0.0/24", "d0");
  route.source = *Address::parse("192.168.7.1");
  this->mustApply(Op::Add, {route});
  EXPECT_THAT(this->listed(), ElementsAre(route));
}

TYPED_TEST(RouteContract, TellsTablesAndMetricsOfOneDestinationApart) {
  const auto a = this->toDevice("10.0.0.0/24", "d0", 0);
  const auto b = this->toDevice("10.0.0.0/24", "d1", 100);
  const auto c = this->toDevice("10.0.0.0/24", "d1", 0, 300);
  const auto d = this->toDevice("fd00::/64", "d0", 10);
  const auto e = this->toDevice("fd00::/64", "d1", 20);
  const auto f = this->toDevice("0.0.0.0/0", "d1", 0, 100);
  const auto g = this->toDevice("::/0", "d1", 0, 100);
  this->mustApply(Op::Add, {a, b, c, d, e, f, g});
  EXPECT_THAT(this->listed(), ElementsAre(f, a, b, c, g, d, e));
  this->mustApply(Op::Remove, {b, d, g});
  EXPECT_THAT(this->listed(), ElementsAre(f, a, c, e));
}

TYPED_TEST(RouteContract, RemovingAGoneRouteWithoutMetricLeavesOtherMetricsAlone) {
  const auto plain = this->toDevice("10.0.0.0/24", "d0");
  const auto metric = this->toDevice("10.0.0.0/24", "d1", 100);
  this->mustApply(Op::Add, {metric});
  this->mustApply(Op::Remove, {plain});
  EXPECT_THAT(this->listed(), ElementsAre(metric));
  const std::vector<Change<Route>> changes{
      {Op::Add, plain}, {Op::Remove, plain}, {Op::Remove, plain}};
  for (const auto& result : this->world_.driver().apply(changes)) EXPECT_TRUE(result.has_value());
  EXPECT_THAT(this->listed(), ElementsAre(metric));
}

TYPED_TEST(RouteContract, LastOfSeveralChangesOfOneKeyWins) {
  const auto first = this->toDevice("10.0.0.1/32", "d0");
  const auto second = this->toDevice("10.0.0.1/32", "d1");
  this->mustApply(Op::Add, {first, second});
  EXPECT_THAT(this->listed(), ElementsAre(second));
  const std::vector<Change<Route>> changes{
      {Op::Add, first}, {Op::Remove, first}, {Op::Add, first}, {Op::Replace, second}};
  for (const auto& result : this->world_.driver().apply(changes)) EXPECT_TRUE(result.has_value());
  EXPECT_THAT(this->listed(), ElementsAre(second));
  const std::vector<Change<Route>> removal{{Op::Add, first}, {Op::Remove, first}};
  for (const auto& result : this->world_.driver().apply(removal)) EXPECT_TRUE(result.has_value());
  EXPECT_THAT(this->listed(), IsEmpty());
}

TYPED_TEST(RouteContract, ForgetsRoutesOfADeviceThatWentAway) {
  this->mustApply(Op::Add,
                  {this->toDevice("10.0.0.1/32", "d0"), this->toDevice("10.0.0.2/32", "d1")});
  this->world_.removeDevice("d0");
  EXPECT_THAT(this->listed(), ElementsAre(this->toDevice("10.0.0.2/32", "d1")));
}

TYPED_TEST(RouteContract, MatchesErrorsToTheirChangesAcrossManyBatches) {
  std::vector<Change<Route>> changes;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    auto route = this->toDevice("10.0.0.0/32", i % 3 == 0 ? "gone0" : "d0");
    route.key.destination.address = Address::v4(0x0a000000U + i);
    if (i % 3 == 1) {
      route.gateway = *Address::parse("172.31.0.9");
      route.scope = RouteScope::Universe;
    }
    changes.push_back({Op::Add, route});
  }
  const auto results = this->world_.driver().apply(changes);
  ASSERT_THAT(results, SizeIs(changes.size()));
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(results[i].has_value(), i % 3 == 2) << i;
    if (i % 3 == 2) continue;
    ASSERT_THAT(results[i].error().what, HasSubstr(changes[i].value.key.destination.str()));
  }
  EXPECT_THAT(this->listed(), SizeIs(6666));
}

TYPED_TEST(RouteContract, DoesNothingForNoChanges) {
  EXPECT_THAT(this->world_.driver().apply({}), IsEmpty());
}

}  // namespace
}  // namespace margay::dataplane
