#include "controllers/node/programmed_interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controllers/builders.h"

namespace margay::controllers {
namespace {

using test::ip;
using test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ProgrammedInterfacesTest : public ::testing::Test {
 protected:
  ProgrammedInterfacesTest() {
    table_.setPrefixes({"cali"});
    for (const char* name : {"cali1", "cali2"}) {
      dataplane::Link link;
      link.name = name;
      link.up = true;
      links_.emplace(name, link);
    }
  }

  void set(const std::string& name, const std::string& device,
           const std::vector<std::string>& addresses) {
    auto local = std::make_shared<LocalEndpoint>();
    local->endpoint = share(test::pod({.name = name, .addresses = addresses}));
    local->interfaceName = device;
    table_.set(local);
  }
  void remove(const std::string& name) { table_.remove(keyOf(test::pod({.name = name}))); }
  DesiredChange apply(InterfacesTouched touched = {}) {
    touched.interfaces = table_.takeChanges();
    DesiredChange out;
    programmed_.apply(table_, touched,
                      {{{Family::V4, ingress_, egress_}}, shared_, Dispatch::Sets, links_, {}},
                      out);
    return out;
  }
  static std::vector<Prefix> routesOf(const DesiredChange& change) {
    std::vector<Prefix> out;
    for (const auto& route : change.routes) out.push_back(route.key.destination);
    return out;
  }

  DispatchLayout ingress_{api::PolicyDirection::Ingress, {}};
  DispatchLayout egress_{api::PolicyDirection::Egress, {}};
  std::set<Prefix> shared_;
  dataplane::LinkMap links_;
  InterfaceTable table_;
  ProgrammedInterfaces programmed_;
};

TEST_F(ProgrammedInterfacesTest, OnlyWhatChangedIsSaid) {
  set("a", "cali1", {"10.0.0.1"});
  EXPECT_THAT(routesOf(apply()), ElementsAre(net("10.0.0.1")));
  set("b", "cali2", {"10.0.0.2"});
  const auto change = apply();
  EXPECT_THAT(routesOf(change), ElementsAre(net("10.0.0.2")));
  EXPECT_EQ(change.members.at("mgy4-local").added.size(), 1U);
  EXPECT_THAT(apply().members, IsEmpty());
}

TEST_F(ProgrammedInterfacesTest, AnAddressThatMovesLeavesInOneCallAndArrivesInTheNext) {
  set("a", "cali1", {"10.0.0.1"});
  static_cast<void>(apply());
  remove("a");
  set("b", "cali2", {"10.0.0.1", "10.0.0.2"});

  const auto left = apply();
  EXPECT_THAT(left.moved, ElementsAre(ip("10.0.0.1")));
  EXPECT_EQ(left.routesRemoved.size(), 1U);
  EXPECT_THAT(routesOf(left), ElementsAre(net("10.0.0.2")));

  const auto arrived = apply();
  EXPECT_THAT(arrived.arrived, ElementsAre(ip("10.0.0.1")));
  EXPECT_THAT(arrived.moved, IsEmpty());
  EXPECT_THAT(routesOf(arrived), ElementsAre(net("10.0.0.1")));
}

TEST_F(ProgrammedInterfacesTest, ALinkThatGoesTakesItsRoutesOnly) {
  set("a", "cali1", {"10.0.0.1"});
  set("b", "cali2", {"10.0.0.2"});
  static_cast<void>(apply());
  links_.erase("cali1");
  const auto change = apply({.links = {"cali1"}});
  ASSERT_EQ(change.routesRemoved.size(), 1U);
  EXPECT_EQ(change.routesRemoved[0].destination, net("10.0.0.1"));
  EXPECT_THAT(change.members, IsEmpty());
  EXPECT_FALSE(change.sysctlsRemoved.empty());
}

TEST_F(ProgrammedInterfacesTest, AnEndpointThatGoesTakesAllItHad) {
  set("a", "cali1", {"10.0.0.1"});
  static_cast<void>(apply());
  remove("a");
  const auto change = apply();
  EXPECT_EQ(change.routesRemoved.size(), 1U);
  EXPECT_EQ(change.members.at("mgy4-local").removed.size(), 1U);
  EXPECT_FALSE(change.sysctlsRemoved.empty());
}

}  // namespace
}  // namespace margay::controllers
