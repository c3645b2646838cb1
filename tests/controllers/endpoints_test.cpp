#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/endpoints/endpoint_routes.h"
#include "controllers/endpoints/interface_table.h"
#include "tests/controllers/builders.h"
#include "tests/controllers/plain_interfaces.h"

namespace margay::controllers {
namespace {

using test::ip;
using test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kPrefixes{"cali"};

std::shared_ptr<LocalEndpoint> endpoint(const std::string& name, const std::string& device,
                                        const std::vector<std::string>& addresses) {
  auto local = std::make_shared<LocalEndpoint>();
  local->endpoint = share(test::pod({.name = name, .addresses = addresses}));
  local->interfaceName = device;
  return local;
}
PlainInterfaces interfaces(const std::vector<std::shared_ptr<const LocalEndpoint>>& endpoints,
                           const std::vector<api::IPPool>& pools = {}) {
  InterfaceTable table;
  table.setPrefixes(kPrefixes);
  table.setPools(pools);
  for (const auto& endpoint : endpoints) table.set(endpoint);
  static_cast<void>(table.takeChanges());
  return {table.interfaces(), table.problems()};
}
std::vector<std::string> reasons(const PlainInterfaces& all) {
  std::vector<std::string> out;
  for (const auto& problem : all.problems) {
    out.push_back((problem.severity == EndpointProblem::Severity::Error ? "error " : "warning ") +
                  problem.endpoint.name + ": " + problem.reason);
  }
  return out;
}
api::IPPool pool(const std::string& cidr) {
  api::IPPool out;
  out.name = cidr;
  out.cidr = net(cidr);
  return out;
}
dataplane::Link link(const std::string& name, bool up) {
  dataplane::Link out;
  out.name = name;
  out.up = up;
  return out;
}

TEST(WorkloadInterfacesTest, AreSortedByDevice) {
  const auto all = interfaces(
      {endpoint("a", "cali2", {"10.0.0.2"}), endpoint("b", "cali1", {"10.0.0.1", "fd00::1"})});
  ASSERT_EQ(all.interfaces.size(), 2U);
  EXPECT_EQ(all.interfaces[0].device, "cali1");
  EXPECT_THAT(all.interfaces[0].addresses, ElementsAre(net("10.0.0.1"), net("fd00::1")));
  EXPECT_THAT(all.problems, IsEmpty());
}

TEST(WorkloadInterfacesTest, TheFirstByNameHasAnAddressInWhateverOrderTheyCome) {
  const auto a = endpoint("a", "cali2", {"10.0.0.1", "10.0.0.2"});
  const auto b = endpoint("b", "cali1", {"10.0.0.1", "10.0.0.3"});
  const auto all = interfaces({b, a});
  EXPECT_EQ(interfaces({a, b}).interfaces, all.interfaces);
  EXPECT_THAT(all.interfaces[0].addresses, ElementsAre(net("10.0.0.3")));
  EXPECT_THAT(all.interfaces[1].addresses, ElementsAre(net("10.0.0.1"), net("10.0.0.2")));
  EXPECT_THAT(reasons(all),
              ElementsAre("error n1-k8s-b-eth0: address 10.0.0.1/32 belongs to WorkloadEndpoint "
                          "default/n1-k8s-a-eth0: delete one of the two"));
}

TEST(WorkloadInterfacesTest, TheSecondClaimOfAnInterfaceIsLeftOut) {
  const auto all =
      interfaces({endpoint("a", "cali1", {"10.0.0.1"}), endpoint("b", "cali1", {"10.0.0.2"})});
  ASSERT_EQ(all.interfaces.size(), 1U);
  EXPECT_THAT(all.interfaces[0].addresses, ElementsAre(net("10.0.0.1")));
  EXPECT_THAT(reasons(all),
              ElementsAre("error n1-k8s-b-eth0: interface cali1 belongs to WorkloadEndpoint "
                          "default/n1-k8s-a-eth0: delete one of the two"));
}

TEST(WorkloadInterfacesTest, NamesThatNoWorkloadInterfaceHasAreErrors) {
  const auto all = interfaces({endpoint("a", "", {}), endpoint("b", "cali567890123456", {}),
                               endpoint("c", "cali/../all", {}), endpoint("d", "eth0", {})});
  EXPECT_THAT(all.interfaces, IsEmpty());
  EXPECT_THAT(reasons(all),
              ElementsAre("error n1-k8s-a-eth0: has no interface name: set spec.interfaceName",
                          "error n1-k8s-b-eth0: interface name cali567890123456 has 16 bytes, at "
                          "most 15 are possible: rename it",
                          "error n1-k8s-c-eth0: interface name has bytes that no interface name "
                          "can have: rename it",
                          "error n1-k8s-d-eth0: interface name eth0 begins with no workload "
                          "prefix: rename it or add its prefix to InterfacePrefix"));
}

TEST(WorkloadInterfacesTest, AnAddressOutsideEveryPoolIsNamedAndUsed) {
  const auto all =
      interfaces({endpoint("a", "cali1", {"10.0.0.1", "11.0.0.1"})}, {pool("10.0.0.0/8")});
  EXPECT_EQ(all.interfaces[0].addresses.size(), 2U);
  EXPECT_THAT(reasons(all),
              ElementsAre("warning n1-k8s-a-eth0: address 11.0.0.1/32 is in no IPPool: add a pool "
                          "that contains it or change the address"));
}

TEST(EndpointTablesTest, AnInterfaceThatIsUpHasRoutesNeighboursAndSysctls) {
  auto local = endpoint("a", "cali1", {"10.0.0.1", "fd00::1"});
  auto changed = *local->endpoint;
  changed.setDetails({.mac = dataplane::MacAddress{2, 0, 0, 0, 0, 1}});
  local->endpoint = share(std::move(changed));
  const auto all = interfaces({local});
  const auto tables = endpointTables(all.interfaces, {{"cali1", link("cali1", true)}}, {});
  ASSERT_EQ(tables.routes.size(), 2U);
  const auto& v4 = tables.routes.begin()->second;
  EXPECT_EQ(v4.key, (dataplane::RouteKey{net("10.0.0.1"), dataplane::kMainTable, 1024}));
  EXPECT_EQ(v4.scope, dataplane::RouteScope::Link);
  EXPECT_EQ(v4.device, "cali1");
  const auto& v6 = tables.routes.rbegin()->second;
  EXPECT_EQ(v6.key, (dataplane::RouteKey{net("fd00::1"), dataplane::kMainTable, 1024}));
  EXPECT_EQ(v6.scope, dataplane::RouteScope::Universe);
  EXPECT_EQ(tables.neighbours.size(), 2U);
  EXPECT_EQ(tables.sysctls, (dataplane::SysctlMap{{"net/ipv4/conf/cali1/forwarding", "1"},
                                                  {"net/ipv4/conf/cali1/proxy_arp", "1"},
                                                  {"net/ipv4/conf/cali1/route_localnet", "1"},
                                                  {"net/ipv4/conf/cali1/rp_filter", "1"},
                                                  {"net/ipv4/neigh/cali1/proxy_delay", "0"},
                                                  {"net/ipv6/conf/cali1/accept_ra", "0"},
                                                  {"net/ipv6/conf/cali1/forwarding", "1"},
                                                  {"net/ipv6/conf/cali1/proxy_ndp", "1"}}));
}

TEST(EndpointTablesTest, AnInterfaceThatIsDownHasSysctlsOnlyAndOneThatIsMissingHasNothing) {
  const auto all =
      interfaces({endpoint("a", "cali1", {"10.0.0.1"}), endpoint("b", "cali2", {"10.0.0.2"})});
  const auto tables =
      endpointTables(all.interfaces, {{"cali1", link("cali1", false)}}, {.ipv6 = false});
  EXPECT_THAT(tables.routes, IsEmpty());
  EXPECT_THAT(tables.neighbours, IsEmpty());
  EXPECT_EQ(tables.sysctls.size(), 5U);
}

TEST(EndpointTablesTest, AllowedSourcesSwitchTheReversePathFilterOff) {
  auto local = endpoint("a", "cali1", {"10.0.0.1"});
  auto changed = *local->endpoint;
  changed.setDetails({.allowedSources = {net("0.0.0.0/0")}});
  local->endpoint = share(std::move(changed));
  const auto all = interfaces({local});
  const auto tables =
      endpointTables(all.interfaces, {{"cali1", link("cali1", true)}}, {.defaultRpFilter = "2"});
  EXPECT_EQ(tables.sysctls.at("net/ipv4/conf/cali1/rp_filter"), "0");
}

TEST(EndpointTablesTest, RoutesTakeMetricAndSourceFromOptions) {
  const auto all = interfaces({endpoint("a", "cali1", {"10.0.0.1"})});
  const auto tables = endpointTables(all.interfaces, {{"cali1", link("cali1", true)}},
                                     {.metricV4 = 7, .sourceV4 = ip("192.0.2.1")});
  EXPECT_EQ(tables.routes.begin()->first.metric, 7U);
  EXPECT_EQ(tables.routes.begin()->second.source, ip("192.0.2.1"));
}

}  // namespace
}  // namespace margay::controllers
