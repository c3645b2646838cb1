#include <gmock/gmock.h>

#include "tests/controllers/engine_fixture.h"

namespace margay::controllers {
namespace {

using api::RuleAction;
using test::allowFrom;
using test::allowTo;
using test::egressPolicy;
using test::namespaceProfile;
using test::networkSet;
using test::pod;
using test::policy;
using test::tier;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kFromA = R"((projectcalico.org/namespace == "default" && app == "a"))";

api::WorkloadEndpoint localPod(const std::string& name, const std::string& address,
                               const std::string& app) {
  return pod({.name = name, .addresses = {address}, .labels = {{"app", app}}});
}
api::WorkloadEndpoint remotePod(const std::string& name, const std::string& address,
                                const std::string& app) {
  return pod({.name = name, .node = "n2", .addresses = {address}, .labels = {{"app", app}}});
}
api::Policy allowA() {
  return policy("default", "allow-a", "app == 'b'", {allowFrom("app == 'a'")});
}

TEST_F(EngineTest, APolicyThatSelectsALocalEndpointHasItsSetsFilled) {
  const auto delta = put(namespaceProfile("default"), allowA(), remotePod("a1", "10.0.1.1", "a"),
                         localPod("b1", "10.0.0.1", "b"));
  EXPECT_THAT(delta.setsAdded, SizeIs(1));
  EXPECT_THAT(members(kFromA), ElementsAre("10.0.1.1"));
  EXPECT_THAT(endpoint("b1")->tiers, ElementsAre(EndpointTier{"default", {"default/allow-a"}, {}}));
  EXPECT_EQ(endpoint("b1")->interfaceName.substr(0, 4), "cali");
  EXPECT_EQ(engine.counts().clusterEndpoints, 2U);
  EXPECT_EQ(engine.counts().localEndpoints, 1U);
}

TEST_F(EngineTest, APolicyThatSelectsNothingLocalHasNoSets) {
  put(allowA(), remotePod("b1", "10.0.1.1", "b"));
  EXPECT_THAT(engine.sets(), IsEmpty());
  const auto views = engine.policies();
  ASSERT_THAT(views, SizeIs(1));
  EXPECT_FALSE(views[0].active);
  EXPECT_THAT(views[0].ingress->rules, SizeIs(1)) << "its rules can be inspected all the same";
}

TEST_F(EngineTest, ARemotePodThatChangesAddressChangesItsMembersOnly) {
  put(allowA(), localPod("b1", "10.0.0.1", "b"), remotePod("a1", "10.0.1.1", "a"));
  const auto delta = put(remotePod("a1", "10.0.1.9", "a"));
  ASSERT_THAT(delta.members, SizeIs(1));
  EXPECT_THAT(delta.members[0].added,
              ElementsAre(dataplane::SetMember{test::net("10.0.1.9"), 0, 0, {}}));
  EXPECT_THAT(delta.members[0].removed,
              ElementsAre(dataplane::SetMember{test::net("10.0.1.1"), 0, 0, {}}));
  EXPECT_THAT(delta.endpointsChanged, IsEmpty());
  EXPECT_THAT(delta.groupsAdded, IsEmpty());
}

TEST_F(EngineTest, AnUpdateThatChangesNothingGivesAnEmptyDelta) {
  put(namespaceProfile("default"), allowA(), localPod("b1", "10.0.0.1", "b"),
      remotePod("a1", "10.0.1.1", "a"));
  const auto delta = put(namespaceProfile("default"), allowA(), localPod("b1", "10.0.0.1", "b"),
                         remotePod("a1", "10.0.1.1", "a"));
  EXPECT_THAT(delta.setsAdded, IsEmpty());
  EXPECT_THAT(delta.setsRemoved, IsEmpty());
  EXPECT_THAT(delta.members, IsEmpty());
  EXPECT_THAT(delta.endpointsChanged, IsEmpty());
  EXPECT_THAT(delta.groupsAdded, IsEmpty());
}

TEST_F(EngineTest, TwoEndpointsWithOneAddressAreOneMember) {
  put(allowA(), localPod("b1", "10.0.0.1", "b"), remotePod("a1", "10.0.1.1", "a"),
      remotePod("a2", "10.0.1.1", "a"));
  EXPECT_THAT(members(kFromA), ElementsAre("10.0.1.1"));
  EXPECT_THAT(gone(remotePod("a1", "10.0.1.1", "a")).members, IsEmpty());
  EXPECT_THAT(gone(remotePod("a2", "10.0.1.1", "a")).members, SizeIs(1));
  EXPECT_THAT(members(kFromA), IsEmpty());
}

TEST_F(EngineTest, APodThatJoinsAGroupMakesNoNewOne) {
  put(namespaceProfile("default"), allowA(), localPod("b1", "10.0.0.1", "b"));
  const auto delta = put(localPod("b2", "10.0.0.2", "b"));
  EXPECT_THAT(delta.groupsAdded, IsEmpty());
  EXPECT_THAT(delta.setsAdded, IsEmpty());
  ASSERT_THAT(delta.endpointsChanged, SizeIs(1));
  EXPECT_EQ(delta.endpointsChanged[0]->ingress, endpoint("b1")->ingress);
}

TEST_F(EngineTest, LabelsOfNamespacesAreInheritedUnlessThePodHasThem) {
  auto rule = allowFrom("");
  rule.source.namespaceSelector = "team == 'red'";
  put(namespaceProfile("other", {{"team", "red"}}), policy("default", "p", "", {rule}),
      localPod("b1", "10.0.0.1", "b"),
      pod({.ns = "other", .name = "x", .node = "n2", .addresses = {"10.0.1.1"}}),
      pod({.ns = "other",
           .name = "y",
           .node = "n2",
           .addresses = {"10.0.1.2"},
           .labels = {{"pcns.team", "own"}}}));
  EXPECT_THAT(members(R"(pcns.team == "red")"), ElementsAre("10.0.1.1"));
  put(namespaceProfile("other", {{"team", "blue"}}));
  EXPECT_THAT(members(R"(pcns.team == "red")"), IsEmpty());
  put(namespaceProfile("other", {{"team", "red"}}));
  EXPECT_THAT(members(R"(pcns.team == "red")"), ElementsAre("10.0.1.1"));
}

TEST_F(EngineTest, NetworkSetsJoinSelectorsAndInheritTheirNamespace) {
  auto rule = allowFrom("role == 'db'");
  rule.source.namespaceSelector = "has(team)";
  put(namespaceProfile("other", {{"team", "red"}}), policy("default", "p", "", {rule}),
      localPod("b1", "10.0.0.1", "b"),
      networkSet("other", "dbs", {{"role", "db"}}, {"192.0.2.0/24", "0.0.0.0/0"}),
      networkSet("", "global", {{"role", "db"}}, {"198.51.100.0/24"}));
  EXPECT_THAT(members(R"((has(pcns.team) && role == "db"))"),
              ElementsAre("0.0.0.0/1", "128.0.0.0/1", "192.0.2.0/24"));
}

TEST_F(EngineTest, NamedPortsAreRestrictedByTheSelectorOfTheirEnd) {
  auto rule = allowTo("app == 'web'");
  rule.protocol = 17;
  rule.destination.ports = {{{}, "dns"}};
  put(egressPolicy("default", "p", "app == 'b'", {rule}), localPod("b1", "10.0.0.1", "b"),
      pod({.name = "w",
           .node = "n2",
           .addresses = {"10.0.1.1", "fd00::1"},
           .labels = {{"app", "web"}},
           .ports = {{"dns", 17, 53}, {"dns", 6, 54}, {"http", 17, 80}}}));
  const char* selector = R"((projectcalico.org/namespace == "default" && app == "web"))";
  EXPECT_THAT(members(selector, SetKind::NamedPort),
              ElementsAre("10.0.1.1,udp:53", "fd00::1,udp:53"));
  EXPECT_THAT(members(selector), ElementsAre("none")) << "the named port stands for the selector";
  EXPECT_THAT(endpoint("b1")->egress->tiers[0].policies[0]->rules[0].destination.sets, IsEmpty());
}

TEST_F(EngineTest, ANamedPortWithoutSelectorIsThatOfAllEndpointsAndTcp) {
  auto rule = allowFrom("");
  rule.destination.ports = {{{}, "http"}, {{80, 81}, ""}};
  put(policy("", "p", "app == 'b'", {rule}), localPod("b1", "10.0.0.1", "b"),
      pod({.name = "w", .node = "n2", .addresses = {"10.0.1.1"}, .ports = {{"http", 6, 8080}}}));
  EXPECT_THAT(members("all()", SetKind::NamedPort), ElementsAre("10.0.1.1,tcp:8080"));
}

TEST_F(EngineTest, ServicesAreTheAddressesOfTheirSlices) {
  auto from = allowFrom("");
  from.source.services = api::ServiceRef{"default", "web"};
  auto to = allowTo("");
  to.destination.services = api::ServiceRef{"default", "web"};
  auto both = policy("default", "p", "app == 'b'", {from});
  both.appliesToEgress = true;
  both.egress = {to};
  const api::EndpointSlice slice{
      "default", "web-1", "web", {test::ip("10.0.1.1"), test::ip("10.0.1.2")}, {{"", 6, 80}}};
  const api::EndpointSlice more{"default", "web-2", "web", {test::ip("10.0.1.2")}, {{"", 6, 80}}};
  put(both, localPod("b1", "10.0.0.1", "b"), slice, more);
  const api::ServiceRef web{"default", "web"};
  EXPECT_THAT(members(web, SetKind::ServiceNoPort), ElementsAre("10.0.1.1", "10.0.1.2"));
  EXPECT_THAT(members(web, SetKind::Service), ElementsAre("10.0.1.1,tcp:80", "10.0.1.2,tcp:80"));
  gone(slice);
  EXPECT_THAT(members(web, SetKind::Service), ElementsAre("10.0.1.2,tcp:80"));
}

TEST_F(EngineTest, TiersAndPoliciesComeInFelixOrder) {
  auto p1 = policy("", "z", "all()");
  p1.tier = "second";
  auto p2 = policy("", "late", "all()");
  p2.tier = "first";
  auto p3 = policy("", "early", "all()");
  p3.tier = "first";
  p3.order = 5;
  auto p4 = policy("default", "a", "all()");
  auto p5 = policy("default", "a-b", "all()");
  put(p1, p2, p3, p4, p5, localPod("b1", "10.0.0.1", "b"));
  EXPECT_THAT(
      endpoint("b1")->tiers,
      ElementsAre(EndpointTier{"default", {"default/a-b", "default/a"}, {}},
                  EndpointTier{"first", {"early", "late"}, {}}, EndpointTier{"second", {"z"}, {}}))
      << "tiers that do not exist come last, and '-' sorts before '/'";
  put(tier("second", std::nullopt), tier("first", 10));
  EXPECT_THAT(endpoint("b1")->tiers,
              ElementsAre(EndpointTier{"first", {"early", "late"}, {}},
                          EndpointTier{"default", {"default/a-b", "default/a"}, {}},
                          EndpointTier{"second", {"z"}, {}}));
  gone(tier("first", 10));
  EXPECT_EQ(endpoint("b1")->tiers[0].name, "default");
}

TEST_F(EngineTest, UntrackedAndPreDnatPoliciesDoNotApplyToWorkloads) {
  auto untracked = policy("", "u", "all()");
  untracked.doNotTrack = true;
  auto preDnat = policy("", "d", "all()");
  preDnat.preDnat = true;
  put(untracked, preDnat, localPod("b1", "10.0.0.1", "b"));
  EXPECT_THAT(endpoint("b1")->tiers, IsEmpty());
}

TEST_F(EngineTest, TheBuiltInProfileAllowsAndAMissingOneDoesNot) {
  auto first = localPod("b1", "10.0.0.1", "b");
  first.profiles = share(std::vector<std::string>{"missing", "projectcalico-default-allow"});
  put(first);
  ASSERT_THAT(endpoint("b1")->ingress->profiles, SizeIs(1));
  EXPECT_EQ(endpoint("b1")->ingress->profiles[0]->rules, std::vector<ResolvedRule>{ResolvedRule{}});
  put(api::Profile{"missing", {}, {test::rule(RuleAction::Deny)}, {}});
  ASSERT_THAT(endpoint("b1")->ingress->profiles, SizeIs(1));
  EXPECT_EQ(endpoint("b1")->ingress->profiles[0]->rules[0].action, RuleAction::Deny);
  gone(api::Profile{"missing", {}, {}, {}});
  EXPECT_EQ(endpoint("b1")->ingress->profiles[0]->rules[0].action, RuleAction::Allow);
}

TEST_F(EngineTest, AnEndpointThatMovesAwayIsRemovedHere) {
  put(localPod("b1", "10.0.0.1", "b"));
  auto moved = localPod("b1", "10.0.0.1", "b");
  moved.node = "n2";
  EXPECT_THAT(put(moved).endpointsRemoved, SizeIs(1));
  EXPECT_THAT(engine.endpoints(), IsEmpty());
  EXPECT_EQ(engine.counts().clusterEndpoints, 1U);
}

TEST_F(EngineTest, EmptyGroupsStayForTenMinutesWithTheirSets) {
  put(namespaceProfile("default"), allowA(), localPod("b1", "10.0.0.1", "b"),
      remotePod("a1", "10.0.1.1", "a"));
  const auto group = endpoint("b1")->ingress;
  gone(localPod("b1", "10.0.0.1", "b"));
  EXPECT_EQ(engine.nextCollect(), now + kEmptyGroupStays);
  now += std::chrono::minutes(9);
  EXPECT_THAT(collect().groupsRemoved, IsEmpty());
  EXPECT_THAT(members(kFromA), ElementsAre("10.0.1.1"));
  const auto back = put(localPod("b9", "10.0.0.9", "b"));
  EXPECT_THAT(back.groupsAdded, IsEmpty());
  EXPECT_EQ(endpoint("b9")->ingress, group);
  EXPECT_EQ(engine.nextCollect(), std::nullopt);
  gone(localPod("b9", "10.0.0.9", "b"));
  now += std::chrono::minutes(10);
  const auto delta = collect();
  EXPECT_THAT(delta.groupsRemoved, SizeIs(2));
  EXPECT_THAT(delta.setsRemoved, SizeIs(1));
  EXPECT_THAT(engine.groups(), IsEmpty());
}

TEST_F(EngineTest, AGroupWhoseRulesChangedGoesWithTheNextCollect) {
  put(allowA(), localPod("b1", "10.0.0.1", "b"));
  const auto changed = put(policy("default", "allow-a", "app == 'b'", {allowFrom("app == 'c'")}));
  EXPECT_THAT(changed.groupsAdded, SizeIs(1));
  EXPECT_THAT(changed.setsAdded, SizeIs(1));
  EXPECT_THAT(changed.setsRemoved, IsEmpty()) << "the old group still needs its set";
  const auto collected = collect();
  EXPECT_THAT(collected.groupsRemoved, SizeIs(1));
  EXPECT_THAT(collected.setsRemoved, SizeIs(1));
  EXPECT_EQ(engine.nextCollect(), std::nullopt);
}

TEST_F(EngineTest, AGroupThatItsMembersLeaveInACollectStaysUntilTheNextOne) {
  put(allowA(), localPod("b1", "10.0.0.1", "b"));
  engine.update(test::put(policy("default", "allow-a", "app == 'b'", {allowFrom("app == 'c'")})));
  const auto moved = collect();
  EXPECT_THAT(moved.groupsAdded, SizeIs(1));
  EXPECT_THAT(moved.groupsRemoved, IsEmpty());
  EXPECT_THAT(collect().groupsRemoved, SizeIs(1));
}

TEST_F(EngineTest, EqualRulesOfOneBareNameShareAGroupAcrossNamespaces) {
  const auto deny = [](const std::string& ns) { return policy(ns, "default-deny", ""); };
  put(deny("a"), deny("b"), pod({.ns = "a", .name = "x", .addresses = {"10.0.0.1"}}),
      pod({.ns = "b", .name = "y", .addresses = {"10.0.0.2"}}));
  EXPECT_EQ(endpoint("x")->ingress, endpoint("y")->ingress);
}

}  // namespace
}  // namespace margay::controllers
