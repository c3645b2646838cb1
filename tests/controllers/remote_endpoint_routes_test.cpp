#include "controllers/routing/remote_endpoint_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "tests/controllers/builders.h"

namespace margay::controllers {
namespace {

using test::ip;
using test::keyOf;
using test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using EndpointPtr = RemoteEndpointRoutes::EndpointPtr;
using Lines = std::vector<std::string>;

const std::vector<Family> kBoth{Family::V4, Family::V6};

api::Node node(const std::string& name, const std::string& address, const Lines& cidrs = {}) {
  api::Node out;
  out.name = name;
  if (!address.empty()) out.internalAddresses.push_back(ip(address));
  for (const auto& cidr : cidrs) out.podCidrs.push_back(net(cidr));
  return out;
}
EndpointPtr pod(const std::string& name, const std::string& where, const Lines& addresses) {
  auto out = test::pod({.name = name, .node = where, .addresses = addresses});
  out.name = api::workloadEndpointName("n", "k8s", name, "eth0");  // the same wherever it is
  return share(std::move(out));
}
std::vector<dataplane::InterfaceAddress> ours(const std::string& address) {
  return {{"eth0", *Prefix::parseAddress(address)}};
}
std::string line(const dataplane::Route& route) {
  return route.key.destination.str() + " via " + route.gateway->str() + " dev " + route.device +
         " metric " + std::to_string(route.key.metric);
}

/// The cluster, the routes under test, and the kernel that has what they said.
class World {
 public:
  explicit World(const std::string& address = "192.0.2.1/24") {
    routes_.setFamilies(families);
    setAddress(address);
  }

  void set(const api::Node& node) {
    nodes.insert_or_assign(node.name, node);
    routes_.noteNode(node.name);
  }
  void removeNode(const std::string& name) {
    nodes.erase(name);
    routes_.noteNode(name);
  }
  void set(const EndpointPtr& endpoint) {
    auto& held = endpoints[keyOf(*endpoint)];
    routes_.replace(held, endpoint, nodes);
    held = endpoint;
  }
  void removePod(const std::string& name) {
    const auto found = endpoints.find(keyOf(*pod(name, "n", {})));
    if (found == endpoints.end()) return;
    routes_.replace(found->second, nullptr, nodes);
    endpoints.erase(found);
  }
  void setAddress(const std::string& address) {
    addresses = ours(address);
    routes_.setAddresses(addresses);
  }
  void setFamilies(std::vector<Family> which) {
    families = std::move(which);
    routes_.setFamilies(families);
  }

  /// What the flush said, the removals as "-10.0.0.1/32". Counts looks at endpoints in `looks`.
  Lines flush() {
    const auto change = routes_.apply(nodes, [this](const auto& visit) {
      for (const auto& [key, endpoint] : endpoints) {
        ++looks;
        visit(endpoint);
      }
    });
    Lines out;
    for (const auto& key : change.removed) {
      EXPECT_EQ(kernel.erase(key), 1U) << key.destination.str() << " was never asked for";
      out.push_back("-" + key.destination.str());
    }
    for (const auto& route : change.set) {
      kernel.insert_or_assign(route.key, route);
      out.push_back(line(route));
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  [[nodiscard]] Lines skipped() const {
    Lines out;
    for (const auto& one : routes_.skipped(nodes)) out.push_back(one.name + ": " + one.reason);
    return out;
  }

  RemoteEndpointRoutes::Nodes nodes;
  std::map<api::ObjectKey, EndpointPtr> endpoints;
  std::vector<dataplane::InterfaceAddress> addresses;
  std::vector<Family> families = kBoth;
  dataplane::RouteMap kernel;
  int looks = 0;

 private:
  RemoteEndpointRoutes routes_{"n1"};
};

/// The same by plain loops over everything.
struct Plain {
  Lines routes;
  Lines skipped;
};
Plain plainly(const World& world) {
  Plain out;
  NextHops hops;
  hops.setAddresses(world.addresses);
  std::map<Prefix, std::string> owners;
  for (const auto& [key, endpoint] : world.endpoints) {
    if (endpoint->node == std::string_view("n1")) continue;
    const auto name = endpoint->ns.str() + "/" + endpoint->workload();
    const auto node = world.nodes.find(endpoint->node.str());
    for (const auto& address : endpoint->addresses) {
      if (node != world.nodes.end() && coversAddress(node->second, address)) continue;
      const auto [owner, fresh] = owners.emplace(address, name);
      const auto family = address.family();
      if (!fresh) {
        out.skipped.push_back(name + ": " + address.str() + ": belongs to " + owner->second);
      } else if (node == world.nodes.end()) {
        out.skipped.push_back(name + ": " + address.str() + ": there is no Node " +
                              endpoint->node.str());
      } else if (const auto hop = hops.find(node->second, family); !hop.next) {
        out.skipped.push_back(name + ": " + address.str() + ": " + hop.why);
      } else if (std::count(world.families.begin(), world.families.end(), family) > 0) {
        out.routes.push_back(line(routeBy(*hop.next, address, 2048)));
      }
    }
  }
  if (world.families.empty()) out.skipped.clear();
  std::sort(out.routes.begin(), out.routes.end());
  std::sort(out.skipped.begin(), out.skipped.end());
  return out;
}

TEST(RemoteEndpointRoutesTest, AddressesOutsideTheirNodesCidrsHaveRoutes) {
  World world;
  world.set(node("n1", "192.0.2.1"));
  world.set(node("n2", "192.0.2.2", {"10.244.2.0/24"}));
  world.set(node("n3", "192.0.2.3"));
  world.set(pod("a", "n1", {"10.0.0.1"}));
  world.set(pod("b", "n2", {"10.244.2.7", "10.0.0.2"}));
  world.set(pod("c", "n3", {"10.244.2.8", "10.0.0.2"}));
  world.set(pod("d", "n4", {"10.0.0.4"}));
  EXPECT_THAT(world.flush(), ElementsAre("10.0.0.2/32 via 192.0.2.2 dev eth0 metric 2048",
                                         "10.244.2.8/32 via 192.0.2.3 dev eth0 metric 2048"));
  EXPECT_THAT(world.skipped(), ElementsAre("default/c: 10.0.0.2/32: belongs to default/b",
                                           "default/d: 10.0.0.4/32: there is no Node n4"));
}

TEST(RemoteEndpointRoutesTest, AChangeLooksAtNoOtherEndpoint) {
  World world;
  world.set(node("n2", "192.0.2.2"));
  for (int i = 0; i < 100; ++i)
    world.set(pod("p" + std::to_string(i), "n2", {"10.0.0." + std::to_string(i)}));
  EXPECT_EQ(world.flush().size(), 100U);
  world.looks = 0;
  world.set(pod("p7", "n2", {"10.0.1.7"}));
  EXPECT_THAT(world.flush(),
              ElementsAre("-10.0.0.7/32", "10.0.1.7/32 via 192.0.2.2 dev eth0 metric 2048"));
  world.set(pod("p7", "n2", {"10.0.1.7"}));
  EXPECT_THAT(world.flush(), IsEmpty());
  EXPECT_EQ(world.looks, 0);
}

TEST(RemoteEndpointRoutesTest, TheNextInLineHasTheAddressOnceItsOwnerIsGone) {
  World world;
  world.set(node("n2", "192.0.2.2"));
  world.set(node("n3", "192.0.2.3"));
  world.set(pod("b", "n3", {"10.0.0.1"}));
  world.set(pod("a", "n2", {"10.0.0.1"}));
  EXPECT_THAT(world.flush(), ElementsAre("10.0.0.1/32 via 192.0.2.2 dev eth0 metric 2048"));
  world.removePod("a");
  EXPECT_THAT(world.flush(), ElementsAre("10.0.0.1/32 via 192.0.2.3 dev eth0 metric 2048"));
  world.removePod("b");
  EXPECT_THAT(world.flush(), ElementsAre("-10.0.0.1/32"));
}

TEST(RemoteEndpointRoutesTest, APodCidrThatComesLaterTakesTheSingleRoutesAway) {
  World world;
  world.set(pod("a", "n2", {"10.0.0.1"}));
  EXPECT_THAT(world.flush(), IsEmpty());
  world.set(node("n2", "192.0.2.2"));
  EXPECT_THAT(world.flush(), ElementsAre("10.0.0.1/32 via 192.0.2.2 dev eth0 metric 2048"));
  world.set(node("n2", "192.0.2.2", {"10.0.0.0/24"}));
  EXPECT_THAT(world.flush(), ElementsAre("-10.0.0.1/32"));
  world.removeNode("n2");
  EXPECT_THAT(world.flush(), IsEmpty());
  EXPECT_THAT(world.skipped(), ElementsAre("default/a: 10.0.0.1/32: there is no Node n2"));
}

TEST(RemoteEndpointRoutesTest, WithoutFamiliesThereAreNoRoutesAndNoComplaints) {
  World world;
  world.set(node("n2", "192.0.2.2"));
  world.set(pod("a", "n2", {"10.0.0.1"}));
  world.flush();
  world.setFamilies({});
  EXPECT_THAT(world.flush(), ElementsAre("-10.0.0.1/32"));
  EXPECT_THAT(world.skipped(), IsEmpty());
  world.setFamilies(kBoth);
  EXPECT_THAT(world.flush(), ElementsAre("10.0.0.1/32 via 192.0.2.2 dev eth0 metric 2048"));
}

/// One change at random, among few names and addresses, so that conflicts are the rule.
void change(World& world) {
  const auto number = [](int below) { return std::to_string(*rc::gen::inRange(0, below)); };
  const auto what = *rc::gen::inRange(0, 20);
  if (what < 9) {
    Lines addresses;
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
      addresses.push_back((*rc::gen::arbitrary<bool>() ? "10.0.0." : "fd00::") + number(4));
    world.set(pod("p" + number(5), "n" + number(4), addresses));
  } else if (what < 13) {
    world.removePod("p" + number(5));
  } else if (what < 16) {
    const Lines cidrs = *rc::gen::arbitrary<bool>() ? Lines{} : Lines{"10.0.0.0/31", "fd00::/127"};
    world.set(node(
        "n" + number(4),
        *rc::gen::element<std::string>("192.0.2.7", "192.0.2.8", "198.51.100.1", "2001:db8::5", ""),
        cidrs));
  } else if (what < 17) {
    world.removeNode("n" + number(4));
  } else if (what < 18) {
    world.setAddress(
        *rc::gen::element<std::string>("192.0.2.1/24", "198.51.100.9/24", "2001:db8::1/64"));
  } else {
    world.setFamilies(
        *rc::gen::element(kBoth, std::vector<Family>{Family::V4}, std::vector<Family>{}));
  }
}

RC_GTEST_PROP(RemoteEndpointRoutesProperty, AskForWhatPlainLoopsOverAllEndpointsFind, ()) {
  World world;
  for (int step = *rc::gen::inRange(1, 60); step > 0; --step) {
    change(world);
    if (*rc::gen::inRange(0, 3) == 0) continue;
    world.flush();
    const auto plain = plainly(world);
    Lines routes;
    for (const auto& [key, route] : world.kernel) routes.push_back(line(route));
    std::sort(routes.begin(), routes.end());
    RC_ASSERT(routes == plain.routes);
    RC_ASSERT(world.skipped() == plain.skipped);
  }
}

}  // namespace
}  // namespace margay::controllers
