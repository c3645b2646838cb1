#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ipset_driver.h"
#include "dataplane/ipset_probe.h"
#include "tests/dataplane/ipset_world.h"
#include "tests/dataplane/network_namespace.h"

/// What every IpsetDriver promises, held against the fake and against the kernel.
namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;
using testing::FakeIpsetWorld;
using ::testing::HasSubstr;
using testing::IpsetWorld;
using testing::KernelIpsetWorld;
using ::testing::Pair;

enum class Where { Fake, Kernel };

class IpsetContract : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    if (GetParam() == Where::Fake) {
      world_ = std::make_unique<FakeIpsetWorld>();
      return;
    }
    auto made = testing::NetworkNamespace::create();
    if (!made) GTEST_SKIP() << made.error().what;
    netns_.emplace(std::move(*made));
    entered_.emplace(netns_->enter());
    if (const auto usable = probeIpset(); !usable) GTEST_SKIP() << usable.error().what;
    auto opened = KernelIpsetDriver::open();
    ASSERT_TRUE(opened) << opened.error().what;
    world_ = std::make_unique<KernelIpsetWorld>(std::move(*opened));
  }

  IpsetDriver& driver() { return world_->driver(); }

  void create(const SetName& name, SetType type = SetType::HashNet, Family family = Family::V4,
              std::uint32_t maxElements = 1048576) {
    const auto made = driver().create({name, type, family, maxElements});
    ASSERT_TRUE(made) << made.error().what;
  }
  void apply(const SetName& name, Op op, const std::vector<SetMember>& members) {
    std::vector<Change<SetMember>> changes;
    for (const auto& member : members) changes.push_back({op, member});
    for (const auto& result : driver().apply(name, changes))
      EXPECT_TRUE(result) << result.error().what;
  }
  std::vector<SetMember> members(const SetName& name) {
    auto got = driver().members(name);
    EXPECT_TRUE(got) << got.error().what;
    if (!got) return {};
    std::sort(got->begin(), got->end());
    return *got;
  }

  std::optional<testing::NetworkNamespace> netns_;
  std::optional<testing::NetworkNamespace::Entered> entered_;
  std::unique_ptr<IpsetWorld> world_;
};

SetMember net(const std::string& text) {
  return {.net = Prefix::parseNetwork(text).value()};
}
SetMember port(const std::string& address, std::uint8_t protocol, std::uint16_t number) {
  return {.net = Prefix::parseNetwork(address).value(), .protocol = protocol, .port = number};
}
SetMember iface(const std::string& prefix, const std::string& device) {
  return {.net = Prefix::parseNetwork(prefix).value(), .device = device};
}
std::vector<SetMember> hosts(std::uint32_t count) {
  std::vector<SetMember> out;
  for (std::uint32_t i = 0; i < count; ++i)
    out.push_back({.net = Prefix::host(Address::v4(0x0a000001 + i))});
  return out;
}

TEST_P(IpsetContract, ListsWhatItCreated) {
  create("mgy4-a", SetType::HashNet, Family::V4, 1000);
  create("mgy6-b", SetType::HashIpPort, Family::V6, 65536);
  create("mgy4-c", SetType::HashNetIface);
  apply("mgy4-a", Op::Add, {net("10.0.0.0/8"), net("192.0.2.1")});
  const SetHeader a{{"mgy4-a", SetType::HashNet, Family::V4, 1000}, 2, 0};
  const SetHeader b{{"mgy6-b", SetType::HashIpPort, Family::V6, 65536}, 0, 0};
  const SetHeader c{{"mgy4-c", SetType::HashNetIface, Family::V4, 1048576}, 0, 0};
  EXPECT_THAT(driver().list().value(),
              ElementsAre(Pair("mgy4-a", a), Pair("mgy4-c", c), Pair("mgy6-b", b)));
}

TEST_P(IpsetContract, SaysStaleWhenTheNameIsTakenAndKeepsTheSet) {
  create("mgy4-a");
  apply("mgy4-a", Op::Add, {net("10.0.0.1")});
  for (const auto type : {SetType::HashNet, SetType::HashNetIface}) {
    const auto again = driver().create({"mgy4-a", type, Family::V4, 1048576});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::Stale) << again.error().what;
  }
  EXPECT_THAT(members("mgy4-a"), ElementsAre(net("10.0.0.1")));
}

TEST_P(IpsetContract, TakesNamesOf31BytesAndRefusesOthers) {
  const std::string longest = "mgy4-" + std::string(26, 'x');
  create(longest);
  apply(longest, Op::Add, {net("10.0.0.1")});
  EXPECT_THAT(members(longest), ElementsAre(net("10.0.0.1")));
  ASSERT_TRUE(driver().destroy(longest));
  for (const std::string& name : {longest + "x", std::string("foreign"), std::string("mgy4 a"),
                                  std::string("mgy4\n"), std::string("mgy4\"a"), std::string()}) {
    EXPECT_EQ(driver().create({name, SetType::HashNet, Family::V4, 10}).error().code, Errc::Invalid)
        << name;
    EXPECT_EQ(driver().destroy(name).error().code, Errc::Invalid) << name;
    EXPECT_EQ(driver().swap(name, name).error().code, Errc::Invalid) << name;
    EXPECT_EQ(driver().members(name).error().code, Errc::Invalid) << name;
    const std::vector<Change<SetMember>> change{{Op::Add, net("10.0.0.1")}};
    EXPECT_EQ(driver().apply(name, change).at(0).error().code, Errc::Invalid) << name;
  }
}

TEST_P(IpsetContract, AddsWhatExistsAndRemovesWhatIsGoneWithSuccess) {
  create("mgy4-a");
  apply("mgy4-a", Op::Add, {net("10.0.0.1"), net("10.0.0.1"), net("10.0.0.2")});
  apply("mgy4-a", Op::Replace, {net("10.0.0.2")});
  apply("mgy4-a", Op::Remove, {net("10.0.0.1"), net("10.0.0.1"), net("10.9.9.9")});
  EXPECT_THAT(members("mgy4-a"), ElementsAre(net("10.0.0.2")));
}

TEST_P(IpsetContract, AppliesChangesOfBothKindsInOrder) {
  create("mgy4-a");
  const std::vector<Change<SetMember>> changes{
      {Op::Add, net("10.0.0.1")},    {Op::Remove, net("10.0.0.1")}, {Op::Add, net("10.0.0.2")},
      {Op::Remove, net("10.0.0.3")}, {Op::Add, net("10.0.0.3")},    {Op::Add, net("0.0.0.0/0")},
      {Op::Add, net("10.0.0.4")},    {Op::Remove, net("10.0.0.4")},
  };
  const auto results = driver().apply("mgy4-a", changes);
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(results[i].has_value(), i != 5) << i;
  EXPECT_THAT(members("mgy4-a"), ElementsAre(net("10.0.0.2"), net("10.0.0.3")));
}

TEST_P(IpsetContract, RoundTripsMembersOfEveryTypeAndFamily) {
  struct Case {
    SetType type;
    Family family;
    std::vector<SetMember> members;
  };
  const Case cases[] = {
      {SetType::HashNet,
       Family::V4,
       {net("0.0.0.0/1"), net("10.0.0.0/8"), net("10.0.0.1"), net("255.255.255.255")}},
      {SetType::HashNet, Family::V6, {net("8000::/1"), net("fd00::/64"), net("fd00::1")}},
      {SetType::HashIpPort,
       Family::V4,
       {port("10.0.0.1", 6, 80), port("10.0.0.1", 17, 80), port("10.0.0.1", 132, 65535)}},
      {SetType::HashIpPort, Family::V6, {port("fd00::1", 6, 8080), port("fd00::1", 17, 1)}},
      {SetType::HashNetIface,
       Family::V4,
       {iface("0.0.0.0/0", "lo"), iface("10.0.0.1", "cali0"),
        iface("10.0.0.1", "cali12345678901")}},
      {SetType::HashNetIface,
       Family::V6,
       {iface("::/0", "lo"), iface("fd00::1", "cali0"), iface("fd00::/64", "cali0")}},
  };
  for (const auto& each : cases) {
    create("mgy-x", each.type, each.family);
    apply("mgy-x", Op::Add, each.members);
    auto wanted = each.members;
    std::sort(wanted.begin(), wanted.end());
    EXPECT_EQ(members("mgy-x"), wanted);
    apply("mgy-x", Op::Remove, each.members);
    EXPECT_THAT(members("mgy-x"), ElementsAre());
    ASSERT_TRUE(driver().destroy("mgy-x"));
  }
}

TEST_P(IpsetContract, SwapsContentsUnderTheNames) {
  create("mgy4-a", SetType::HashNet, Family::V4, 100);
  create("mgy4-b", SetType::HashNet, Family::V4, 200);
  apply("mgy4-a", Op::Add, {net("10.0.0.1")});
  world_->refer("mgy4-a");
  ASSERT_TRUE(driver().swap("mgy4-a", "mgy4-b"));
  EXPECT_THAT(members("mgy4-a"), ElementsAre());
  EXPECT_THAT(members("mgy4-b"), ElementsAre(net("10.0.0.1")));
  const auto listed = driver().list().value();
  EXPECT_EQ(listed.at("mgy4-a"), (SetHeader{{"mgy4-a", SetType::HashNet, Family::V4, 200}, 0, 1}));
  EXPECT_EQ(listed.at("mgy4-b"), (SetHeader{{"mgy4-b", SetType::HashNet, Family::V4, 100}, 1, 0}));
}

TEST_P(IpsetContract, RefusesToSwapWhatIsMissingOrUnlike) {
  create("mgy4-a");
  create("mgy6-a", SetType::HashNet, Family::V6);
  create("mgy4-i", SetType::HashNetIface);
  EXPECT_EQ(driver().swap("mgy4-a", "mgy4-none").error().code, Errc::NotFound);
  EXPECT_EQ(driver().swap("mgy4-none", "mgy4-a").error().code, Errc::NotFound);
  EXPECT_EQ(driver().swap("mgy4-a", "mgy6-a").error().code, Errc::Invalid);
  EXPECT_EQ(driver().swap("mgy4-a", "mgy4-i").error().code, Errc::Invalid);
}

TEST_P(IpsetContract, DestroysAndTakesWhatIsGoneAsSuccess) {
  create("mgy4-a");
  EXPECT_TRUE(driver().destroy("mgy4-a"));
  EXPECT_TRUE(driver().destroy("mgy4-a"));
  EXPECT_TRUE(driver().list().value().empty());
}

TEST_P(IpsetContract, DestroyOfASetInUseIsTransientUntilTheRuleIsGone) {
  create("mgy4-a");
  world_->refer("mgy4-a");
  EXPECT_EQ(driver().list().value().at("mgy4-a").references, 1U);
  const auto refused = driver().destroy("mgy4-a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Transient) << refused.error().what;
  world_->forget("mgy4-a");
  EXPECT_TRUE(driver().destroy("mgy4-a"));
}

TEST_P(IpsetContract, NeverListsOrTouchesSetsOfOthers) {
  world_->createForeign("KUBE-CLUSTER-IP");
  create("mgy4-a");
  world_->createForeign("cali40s:x");
  create("mgy4-b");
  world_->createForeign("zz");
  apply("mgy4-a", Op::Add, {net("10.0.0.1")});
  EXPECT_EQ(driver().list().value().size(), 2U);
  EXPECT_EQ(driver().destroy("zz").error().code, Errc::Invalid);
  EXPECT_EQ(driver().swap("mgy4-a", "zz").error().code, Errc::Invalid);
  EXPECT_TRUE(driver().destroy("mgy4-a"));
  EXPECT_TRUE(driver().destroy("mgy4-b"));
  EXPECT_THAT(world_->foreign(), ElementsAre("KUBE-CLUSTER-IP", "cali40s:x", "zz"));
}

TEST_P(IpsetContract, SaysNotFoundForMembersOfASetThatIsNotThere) {
  EXPECT_EQ(driver().members("mgy4-none").error().code, Errc::NotFound);
  const std::vector<Change<SetMember>> changes{{Op::Add, net("10.0.0.1")},
                                               {Op::Remove, net("10.0.0.2")}};
  const auto results = driver().apply("mgy4-none", changes);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].error().code, Errc::NotFound) << results[0].error().what;
  EXPECT_EQ(results[1].error().code, Errc::NotFound);
}

TEST_P(IpsetContract, GoesOnBehindAMemberThatFails) {
  create("mgy4-a");
  auto wanted = hosts(10000);
  std::vector<Change<SetMember>> changes;
  for (const auto& member : wanted) changes.push_back({Op::Add, member});
  changes[0].value = net("fd00::1");
  changes[4000].value = net("0.0.0.0/0");
  changes[4001].value = iface("10.0.0.1", "cali0");
  changes[9999].value = port("10.0.0.1", 6, 80);
  const auto results = driver().apply("mgy4-a", changes);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool bad = i == 0 || i == 4000 || i == 4001 || i == 9999;
    ASSERT_EQ(results[i].has_value(), !bad) << i;
    if (bad) {
      EXPECT_EQ(results[i].error().code, Errc::Invalid) << results[i].error().what;
    }
  }
  EXPECT_EQ(members("mgy4-a").size(), 9996U);
}

TEST_P(IpsetContract, RefusesMembersThatTheTypeCannotHold) {
  create("mgy4-p", SetType::HashIpPort);
  create("mgy4-i", SetType::HashNetIface);
  const std::vector<Change<SetMember>> ports{{Op::Add, net("10.0.0.1")},
                                             {Op::Add, port("10.0.0.0/24", 6, 80)},
                                             {Op::Add, port("10.0.0.1", 47, 80)}};
  for (const auto& result : driver().apply("mgy4-p", ports))
    EXPECT_EQ(result.error().code, Errc::Invalid);
  const std::vector<Change<SetMember>> ifaces{{Op::Add, net("10.0.0.1")},
                                              {Op::Add, iface("10.0.0.1", "cali123456789012")}};
  for (const auto& result : driver().apply("mgy4-i", ifaces))
    EXPECT_EQ(result.error().code, Errc::Invalid);
  EXPECT_THAT(members("mgy4-p"), ElementsAre());
  EXPECT_THAT(members("mgy4-i"), ElementsAre());
}

TEST_P(IpsetContract, SaysWhatIsFullAndTakesWhatFitsWhenRoomIsMade) {
  create("mgy4-a", SetType::HashNet, Family::V4, 64);
  std::vector<Change<SetMember>> changes;
  for (const auto& member : hosts(20000)) changes.push_back({Op::Add, member});
  const auto results = driver().apply("mgy4-a", changes);
  EXPECT_EQ(
      std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_value(); }),
      64);
  EXPECT_EQ(results[15000].error().code, Errc::Invalid);
  EXPECT_THAT(
      results[15000].error().what,
      HasSubstr("to ipset mgy4-a: the set is full (64 of 64 members): raise FELIX_MAXIPSETSIZE"));
  apply("mgy4-a", Op::Add, hosts(64));
  apply("mgy4-a", Op::Remove, hosts(1));
  apply("mgy4-a", Op::Add, {net("192.0.2.1")});
  EXPECT_EQ(members("mgy4-a").size(), 64U);
}

TEST_P(IpsetContract, SaysThatAPrefixHasTooManyInterfaces) {
  create("mgy4-i", SetType::HashNetIface);
  std::vector<Change<SetMember>> changes;
  for (int i = 0; i < 70; ++i)
    changes.push_back({Op::Add, iface("0.0.0.0/0", "cali" + std::to_string(i))});
  changes.push_back({Op::Add, iface("10.0.0.1", "cali0")});
  const auto results = driver().apply("mgy4-i", changes);
  EXPECT_TRUE(results[63]);
  EXPECT_EQ(results[64].error().code, Errc::Invalid);
  EXPECT_THAT(results[64].error().what, HasSubstr("64 interfaces have this prefix already"));
  EXPECT_TRUE(results[70]) << "other prefixes have room";
}

TEST_P(IpsetContract, RoundTrips100000Members) {
  create("mgy4-a");
  const auto wanted = hosts(100000);
  apply("mgy4-a", Op::Add, wanted);
  EXPECT_EQ(members("mgy4-a"), wanted);
  EXPECT_EQ(driver().list().value().at("mgy4-a").entries, 100000U);
  apply("mgy4-a", Op::Remove, std::vector<SetMember>(wanted.begin() + 1, wanted.end()));
  EXPECT_THAT(members("mgy4-a"), ElementsAre(wanted[0]));
}

TEST_P(IpsetContract, AppliesManyChangesOfAlternatingKind) {
  create("mgy4-a");
  const auto all = hosts(3000);
  std::vector<Change<SetMember>> changes;
  for (std::size_t i = 0; i < all.size(); ++i) {
    changes.push_back({Op::Add, all[i]});
    if (i > 0) changes.push_back({Op::Remove, all[i - 1]});
  }
  for (const auto& result : driver().apply("mgy4-a", changes))
    ASSERT_TRUE(result) << result.error().what;
  EXPECT_THAT(members("mgy4-a"), ElementsAre(all.back()));
}

TEST_P(IpsetContract, HoldsMoreSetsThanTheKernelBeginsWith) {
  world_->createForeign("theirs");
  for (int i = 0; i < 300; ++i) create("mgy4-" + std::to_string(i));
  EXPECT_EQ(driver().list().value().size(), 300U);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(driver().destroy("mgy4-" + std::to_string(i)));
  EXPECT_TRUE(driver().list().value().empty());
  EXPECT_THAT(world_->foreign(), ElementsAre("theirs"));
}

INSTANTIATE_TEST_SUITE_P(On, IpsetContract, ::testing::Values(Where::Fake, Where::Kernel),
                         [](const auto& where) {
                           return where.param == Where::Fake ? "Fake" : "Kernel";
                         });

}  // namespace
}  // namespace margay::dataplane
