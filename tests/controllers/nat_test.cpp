#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/nat/masquerade.h"
#include "tests/controllers/builders.h"
#include "tests/controllers/simulator.h"

namespace margay::controllers {
namespace {

using test::ip;
using test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

api::IPPool pool(const std::string& cidr, bool natOutgoing) {
  api::IPPool out;
  out.name = cidr;
  out.cidr = net(cidr);
  out.natOutgoing = natOutgoing;
  return out;
}
std::vector<std::string> lines(const NatTables& tables) {
  std::vector<std::string> out;
  for (const auto& set : tables.sets) {
    for (const auto& member : set.members) out.push_back(set.spec.name + ' ' + member.net.str());
  }
  return out;
}

TEST(Nat, PoolsWithNatOutgoingAreMasqueradedTowardsNoPool) {
  const std::vector<api::IPPool> pools{pool("10.244.0.0/16", true), pool("10.1.0.0/16", false),
                                       pool("fd00::/48", true)};
  const auto tables = natTables(Family::V4, pools, {}, {});
  EXPECT_THAT(lines(tables), ElementsAre("mgy4-masq 10.244.0.0/16", "mgy4-pools 10.1.0.0/16",
                                         "mgy4-pools 10.244.0.0/16"));
  EXPECT_THAT(sim::faults(tables.table), IsEmpty());
  EXPECT_EQ(
      sim::text(tables.table),
      "POSTROUTING last: --match-set mgy4-masq src ! --match-set mgy4-pools dst -j mgy-nat-outgoing"
      "  # margay: workloads leave the cluster with the address of the host\n"
      "mgy-nat-outgoing: -j MASQUERADE --random-fully\n");
  EXPECT_THAT(lines(natTables(Family::V6, pools, {}, {})),
              ElementsAre("mgy6-masq fd00::/48", "mgy6-pools fd00::/48"));
}

TEST(Nat, WithoutSuchAPoolThereAreNoRulesAndNoSets) {
  const std::vector<api::IPPool> pools{pool("10.244.0.0/16", false)};
  const auto tables = natTables(Family::V4, pools, {}, {});
  EXPECT_THAT(tables.table.hooks, IsEmpty());
  EXPECT_THAT(tables.table.chains, IsEmpty());
  EXPECT_THAT(tables.sets, IsEmpty());
}

TEST(Nat, ADisabledPoolStillTranslates) {
  std::vector<api::IPPool> pools{pool("10.244.0.0/16", true)};
  pools[0].disabled = true;
  EXPECT_FALSE(natTables(Family::V4, pools, {}, {}).table.hooks.empty());
}

TEST(Nat, APoolOfEverythingIsItsTwoHalves) {
  const std::vector<api::IPPool> pools{pool("0.0.0.0/0", true), pool("::/0", true)};
  EXPECT_THAT(lines(natTables(Family::V4, pools, {}, {})),
              ElementsAre("mgy4-masq 0.0.0.0/1", "mgy4-masq 128.0.0.0/1", "mgy4-pools 0.0.0.0/1",
                          "mgy4-pools 128.0.0.0/1"));
  EXPECT_THAT(lines(natTables(Family::V6, pools, {}, {})),
              ElementsAre("mgy6-masq ::/1", "mgy6-masq 8000::/1", "mgy6-pools ::/1",
                          "mgy6-pools 8000::/1"));
}

TEST(Nat, OptionsOfFelixAreHonoured) {
  const std::vector<api::IPPool> pools{pool("10.244.0.0/16", true)};
  api::Node node;
  node.internalAddresses = {ip("192.0.2.1"), ip("2001:db8::1")};
  const std::vector<api::Node> nodes{node};
  const NatOptions options{.address = ip("192.0.2.7"),
                           .ports = dataplane::PortRange{1000, 2000},
                           .exclusions = NatExclusions::PoolsAndHosts,
                           .outInterface = "eth+"};
  const auto tables = natTables(Family::V4, pools, nodes, options);
  EXPECT_THAT(lines(tables), ElementsAre("mgy4-hosts 192.0.2.1/32", "mgy4-masq 10.244.0.0/16",
                                         "mgy4-pools 10.244.0.0/16"));
  EXPECT_EQ(sim::text(tables.table),
            "POSTROUTING last: -o eth+ --match-set mgy4-masq src ! --match-set mgy4-pools dst ! "
            "--match-set mgy4-hosts dst -j mgy-nat-outgoing"
            "  # margay: workloads leave the cluster with the address of the host\n"
            "mgy-nat-outgoing: -p 6 -j SNAT 192.0.2.7 ports 1000:2000 --random-fully\n"
            "mgy-nat-outgoing: -p 17 -j SNAT 192.0.2.7 ports 1000:2000 --random-fully\n"
            "mgy-nat-outgoing: -j SNAT 192.0.2.7 --random-fully\n");
  const std::vector<api::IPPool> v6{pool("fd00::/48", true)};
  EXPECT_THAT(sim::text(natTables(Family::V6, v6, nodes, options).table),
              ::testing::HasSubstr("-j MASQUERADE"));
}

}  // namespace
}  // namespace margay::controllers
