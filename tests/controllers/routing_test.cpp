#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/routing/node_routes.h"
#include "tests/controllers/builders.h"

namespace margay::controllers {
namespace {

using test::ip;
using test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

api::Node node(const std::string& name, const std::vector<std::string>& addresses,
               const std::vector<std::string>& cidrs) {
  api::Node out;
  out.name = name;
  for (const auto& address : addresses) out.internalAddresses.push_back(ip(address));
  for (const auto& cidr : cidrs) out.podCidrs.push_back(net(cidr));
  return out;
}
const std::vector<dataplane::InterfaceAddress> kOurs{
    {"eth0", *Prefix::parseAddress("192.0.2.1/24")},
    {"eth1", *Prefix::parseAddress("192.0.2.129/25")},
    {"eth0", *Prefix::parseAddress("2001:db8::1/64")},
    {"lo", *Prefix::parseAddress("192.0.2.200/32")}};
std::vector<std::string> lines(const NodeRoutes& all) {
  std::vector<std::string> out;
  for (const auto& [key, route] : all.routes) {
    out.push_back(key.destination.str() + " via " + route.gateway->str() + " dev " + route.device +
                  " metric " + std::to_string(key.metric));
  }
  return out;
}
std::vector<std::string> skipped(const NodeRoutes& all) {
  std::vector<std::string> out;
  for (const auto& one : all.skipped) out.push_back(one.name + ": " + one.reason);
  return out;
}

TEST(NodeRoutesTest, EachCidrOfEachOtherNodeGoesByItsAddress) {
  const std::vector<api::Node> nodes{
      node("self", {"192.0.2.1"}, {"10.244.0.0/24"}),
      node("a", {"192.0.2.2", "2001:db8::2"}, {"10.244.1.0/24", "fd00:1::/64"}),
      node("b", {"192.0.2.130"}, {"10.244.2.0/24"})};
  const auto all = nodeRoutes(nodes, "self", kOurs);
  EXPECT_THAT(lines(all), ElementsAre("10.244.1.0/24 via 192.0.2.2 dev eth0 metric 0",
                                      "10.244.2.0/24 via 192.0.2.130 dev eth1 metric 0",
                                      "fd00:1::/64 via 2001:db8::2 dev eth0 metric 1024"));
  EXPECT_THAT(all.skipped, IsEmpty());
}

TEST(NodeRoutesTest, WhatCannotBeRoutedIsNamed) {
  const std::vector<api::Node> nodes{node("self", {"192.0.2.1"}, {"10.244.0.0/24"}),
                                     node("a", {"198.51.100.1"}, {"10.244.1.0/24"}),
                                     node("b", {}, {"10.244.2.0/24", "fd00:2::/64"}),
                                     node("c", {"192.0.2.3"}, {"10.244.0.0/24"}),
                                     node("d", {"192.0.2.1"}, {"10.244.4.0/24"})};
  const auto all = nodeRoutes(nodes, "self", kOurs);
  EXPECT_THAT(all.routes, IsEmpty());
  EXPECT_THAT(
      skipped(all),
      ElementsAre("a: 10.244.1.0/24: node address 198.51.100.1 is on no link of this host",
                  "b: 10.244.2.0/24: node has no IPv4 address",
                  "b: fd00:2::/64: node has no IPv6 address", "c: 10.244.0.0/24: belongs to self",
                  "d: 10.244.4.0/24: node address 192.0.2.1 is an address of this host"));
}

TEST(NodeRoutesTest, TheFirstNodeByNameHasACidrInWhateverOrderTheyCome) {
  const auto a = node("a", {"192.0.2.2"}, {"10.244.1.0/24"});
  const auto b = node("b", {"192.0.2.3"}, {"10.244.1.0/24"});
  EXPECT_THAT(lines(nodeRoutes(std::vector<api::Node>{b, a}, "self", kOurs)),
              ElementsAre("10.244.1.0/24 via 192.0.2.2 dev eth0 metric 0"));
}

TEST(ForwardingSysctls, AreThoseOfTheFamilies) {
  const std::vector<Family> both{Family::V4, Family::V6};
  EXPECT_EQ(forwardingSysctls(both), (dataplane::SysctlMap{{"net/ipv4/ip_forward", "1"},
                                                           {"net/ipv6/conf/all/forwarding", "1"}}));
}

}  // namespace
}  // namespace margay::controllers
