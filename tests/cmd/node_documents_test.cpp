#include "cmd/agent/node_documents.h"

#include "cmd/agent/default_documents.h"
#include "cmd/agent/network_condition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace margay::agent {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

HostView host() {
  const auto at = [](const char* text) { return *Prefix::parseAddress(text); };
  return {{{"cali123", {at("10.9.9.9/32")}},
           {"docker0", {at("172.17.0.1/16")}},
           {"eth1", {at("fe80::1/64"), at("192.0.2.7/25"), at("2001:db8::7/64")}},
           {"eth0", {at("172.17.8.101/24")}},
           {"lo", {at("127.0.0.1/8")}}},
          [](const std::string& destination, Family family) -> std::optional<Address> {
            if (destination != "8.8.8.8" || family != Family::V4) return std::nullopt;
            return Address::parse("172.17.8.101");
          }};
}

std::string detected(const std::string& method, Family family = Family::V4) {
  const auto found = detectAddress(method, family, host());
  return found ? found->str() : found.error().what;
}

TEST(AddressDetection, FindsTheFirstThatIsNoContainersOrTunnels) {
  EXPECT_EQ(detected(""), "192.0.2.7/25");
  EXPECT_EQ(detected("first-found"), "192.0.2.7/25");
  EXPECT_EQ(detected("first-found", Family::V6), "2001:db8::7/64");
}

TEST(AddressDetection, KnowsEveryMethod) {
  EXPECT_EQ(detected("interface=eth0"), "172.17.8.101/24");
  EXPECT_EQ(detected("interface=nope,docker.*"), "172.17.0.1/16");
  EXPECT_EQ(detected("skip-interface=eth1"), "172.17.8.101/24");
  EXPECT_EQ(detected("cidr=203.0.113.0/24,172.17.8.0/24"), "172.17.8.101/24");
  EXPECT_EQ(detected("can-reach=8.8.8.8"), "172.17.8.101/24");
}

TEST(AddressDetection, TakesTheInternalAddressOfKubernetes) {
  auto known = host();
  known.internal = {*Address::parse("172.17.8.101"), *Address::parse("2001:db8::7")};
  const auto found = [&](Family family) {
    const auto address = detectAddress("kubernetes-internal-ip", family, known);
    return address ? address->str() : address.error().what;
  };
  EXPECT_EQ(found(Family::V4), "172.17.8.101/24");
  EXPECT_EQ(found(Family::V6), "2001:db8::7/64");
  known.internal.clear();
  EXPECT_THAT(found(Family::V4), HasSubstr("InternalIP"));
}

TEST(AddressDetection, SaysWhatDoesNotFit) {
  EXPECT_THAT(detected("interface=wlan0"), HasSubstr("interface=wlan0"));
  EXPECT_THAT(detected("interface=("), HasSubstr("regular expression"));
  EXPECT_THAT(detected("cidr=banana"), HasSubstr("banana"));
  EXPECT_THAT(detected("can-reach=1.1.1.1"), HasSubstr("1.1.1.1"));
  EXPECT_THAT(detected("guess"), HasSubstr("not known"));
}

TEST(NodeDocument, HasTheAddressThatWasFound) {
  const auto node = nodeDocument("a", {}, {}, {}, host());
  ASSERT_TRUE(node);
  EXPECT_EQ((*node)["metadata"]["name"], "a");
  EXPECT_EQ((*node)["spec"]["bgp"], Json({{"ipv4Address", "192.0.2.7/25"}}));
}

TEST(NodeDocument, KeepsWhatIsStoredUnlessToldOtherwise) {
  const Json stored = {{"kind", "Node"},
                       {"metadata", {{"name", "a"}, {"labels", {{"rack", "1"}}}}},
                       {"spec", {{"bgp", {{"ipv4Address", "10.0.0.1/24"}, {"asNumber", 64512}}}}}};
  EXPECT_EQ(*nodeDocument("a", stored, {}, {}, host()), stored);
  EXPECT_EQ(*nodeDocument("a", stored, {}, {{"IP", "none"}}, host()), stored);
  const auto detects = nodeDocument("a", stored, {}, {{"IP", "autodetect"}}, host());
  EXPECT_EQ((*detects)["spec"]["bgp"]["ipv4Address"], "192.0.2.7/25");
  EXPECT_EQ((*detects)["spec"]["bgp"]["asNumber"], 64512);
  EXPECT_EQ((*detects)["metadata"]["labels"]["rack"], "1");
}

TEST(NodeDocument, TakesTheSubnetOfAGivenAddressFromItsInterface) {
  const auto node = nodeDocument("a", {}, {}, {{"IP", "172.17.8.101"}, {"AS", "64513"}}, host());
  EXPECT_EQ((*node)["spec"]["bgp"],
            Json({{"ipv4Address", "172.17.8.101/24"}, {"asNumber", 64513}}));
  const auto elsewhere = nodeDocument("a", {}, {}, {{"IP", "198.51.100.1/28"}}, host());
  EXPECT_EQ((*elsewhere)["spec"]["bgp"]["ipv4Address"], "198.51.100.1/28");
}

TEST(NodeDocument, RefusesAnAddressOfAnotherNode) {
  const Json other = {{"metadata", {{"name", "b"}}},
                      {"spec", {{"bgp", {{"ipv4Address", "192.0.2.7/25"}}}}}};
  EXPECT_THAT(nodeDocument("a", {}, {other}, {}, host()).error().what, HasSubstr("node b"));
  EXPECT_TRUE(nodeDocument("a", {}, {other}, {{"DISABLE_NODE_IP_CHECK", "true"}}, host()));
  EXPECT_TRUE(nodeDocument("b", {}, {other}, {}, host()));
}

TEST(NodeDocument, HasNoAddressWhereOnlyPolicyIsWanted) {
  const auto node =
      nodeDocument("a", {}, {}, {{"CALICO_NETWORKING_BACKEND", "none"}, {"AS", "1"}}, host());
  EXPECT_EQ((*node)["spec"], Json::object());
}

TEST(NodeDocument, TakesAnAsNumberWithADot) {
  const auto node = nodeDocument("a", {}, {}, {{"AS", "1.10"}}, host());
  EXPECT_EQ((*node)["spec"]["bgp"]["asNumber"], 65546);
  EXPECT_THAT(nodeDocument("a", {}, {}, {{"AS", "1.2.3"}}, host()).error().what,
              HasSubstr("AS='1.2.3'"));
}

TEST(MissingPools, AreThoseOfCalicoNode) {
  const auto pools = missingPools({}, {}, host(), false);
  ASSERT_THAT(*pools, SizeIs(1));
  EXPECT_EQ((*pools)[0]["metadata"]["name"], "default-ipv4-ippool");
  EXPECT_EQ((*pools)[0]["spec"], Json({{"cidr", "192.168.0.0/16"},
                                       {"natOutgoing", true},
                                       {"ipipMode", "Never"},
                                       {"vxlanMode", "Never"},
                                       {"blockSize", 26}}));
  EXPECT_THAT(*missingPools({}, {}, host(), true), SizeIs(2));
  EXPECT_THAT(*missingPools(*pools, {}, host(), false), IsEmpty());
}

TEST(MissingPools, FollowTheEnvironment) {
  const auto pools = missingPools({},
                                  {{"CALICO_IPV4POOL_CIDR", "10.65.0.0/16"},
                                   {"CALICO_IPV4POOL_IPIP", "cross-subnet"},
                                   {"CALICO_IPV4POOL_BLOCK_SIZE", "28"},
                                   {"CALICO_IPV4POOL_NAT_OUTGOING", "false"}},
                                  host(), false);
  EXPECT_EQ((*pools)[0]["spec"], Json({{"cidr", "10.65.0.0/16"},
                                       {"natOutgoing", false},
                                       {"ipipMode", "CrossSubnet"},
                                       {"vxlanMode", "Never"},
                                       {"blockSize", 28}}));
  EXPECT_THAT(*missingPools({}, {{"NO_DEFAULT_POOLS", "true"}}, host(), true), IsEmpty());
  EXPECT_FALSE(missingPools(
      {}, {{"NO_DEFAULT_POOLS", "true"}, {"CALICO_IPV4POOL_CIDR", "10.0.0.0/8"}}, host(), true));
  EXPECT_FALSE(missingPools({}, {{"CALICO_IPV4POOL_CIDR", "banana"}}, host(), false));
  EXPECT_THAT(*missingPools({}, {{"CALICO_IPV4POOL_CIDR", "none"}}, host(), false), IsEmpty());
}

TEST(ClusterDocument, IsMadeOnceAndCompleted) {
  const auto made = clusterDocument({}, {{"CLUSTER_TYPE", "k8s"}});
  EXPECT_EQ(made["spec"]["clusterGUID"].get<std::string>().size(), 32U);
  EXPECT_EQ(made["spec"]["datastoreReady"], true);
  EXPECT_EQ(made["spec"]["clusterType"], "k8s");
  EXPECT_EQ(clusterDocument(made, {{"CLUSTER_TYPE", "k8s"}}), made);
  EXPECT_EQ(clusterDocument(made, {{"CLUSTER_TYPE", "bgp"}})["spec"]["clusterType"], "k8s,bgp");
}

TEST(DefaultDocuments, CompleteWhatIsThereAndLeaveTiersAlone) {
  const auto wanted = defaultDocuments("a");
  ASSERT_EQ(wanted[0].name, "default");
  const Json stored = {{"kind", "FelixConfiguration"},
                       {"metadata", {{"name", "default"}}},
                       {"spec", {{"reportingInterval", "30s"}}}};
  EXPECT_EQ(completed(wanted[0], stored)["spec"],
            Json({{"reportingInterval", "30s"}, {"logSeverityScreen", "Info"}}));
  EXPECT_EQ(completed(wanted[1], {})["metadata"]["name"], "node.a");
  EXPECT_EQ(completed(wanted[1], {})["spec"], Json({{"defaultEndpointToHostAction", "Return"}}));
  const Json tier = {
      {"kind", "Tier"}, {"metadata", {{"name", "default"}}}, {"spec", Json::object()}};
  EXPECT_EQ(completed(wanted[3], tier), tier);
  EXPECT_EQ(completed(wanted[3], {})["spec"]["order"], 1'000'000);
}

TEST(NetworkCondition, IsToldOnceAndTakenBackAfterThreeLooks) {
  NetworkCondition condition;
  EXPECT_EQ(condition.look(false), std::nullopt) << "nobody has said that there is a network";
  EXPECT_FALSE(condition.mayBeAvailable());
  EXPECT_EQ(condition.look(true), true);
  EXPECT_TRUE(condition.mayBeAvailable()) << "an answer that does not come is not a no";
  EXPECT_EQ(condition.look(true), true) << "until it is told";
  condition.told(true);
  EXPECT_EQ(condition.look(true), std::nullopt);
  EXPECT_EQ(condition.look(false), std::nullopt);
  EXPECT_EQ(condition.look(false), std::nullopt);
  EXPECT_EQ(condition.look(false), false);
  condition.told(false);
  EXPECT_FALSE(condition.mayBeAvailable());
  EXPECT_EQ(condition.look(false), std::nullopt);
  EXPECT_EQ(condition.look(true), true);
  const auto patch = networkConditionPatch(Network::Up, "2024-03-01T10:20:30Z");
  EXPECT_EQ(patch["status"]["conditions"][0]["status"], "False");
}

}  // namespace
}  // namespace margay::agent
