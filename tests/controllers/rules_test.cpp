#include "controllers/policy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/controllers/builders.h"
#include "tests/controllers/simulator.h"

namespace margay::controllers {
namespace {

using api::PolicyDirection;
using api::RuleAction;
using test::net;
using test::nets;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RuleOptions options() {
  RuleOptions out;
  out.marks = *allocateMarks(kDefaultMarkMask);
  return out;
}

ResolvedRule rule(RuleAction action) {
  ResolvedRule out;
  out.action = action;
  return out;
}
ResolvedRule tcp(RuleAction action, std::vector<api::PortRange> ports) {
  ResolvedRule out = rule(action);
  out.protocol = IPPROTO_TCP;
  out.destination.ports = std::move(ports);
  return out;
}

RuleListPtr policy(std::vector<ResolvedRule> rules, const std::string& label = "allow-web",
                   const std::string& hash = "0123456789abcdef") {
  auto out = std::make_shared<RuleList>();
  out->label = label;
  out->tier = "default";
  out->rules = std::move(rules);
  out->hash = hash;
  return out;
}
RuleListPtr profile(std::vector<ResolvedRule> rules, const std::string& hash = "fedcba9876543210") {
  auto out = std::make_shared<RuleList>();
  out->rules = std::move(rules);
  out->hash = hash;
  return out;
}

std::string textOf(const ChainMap& chains) {
  dataplane::RuleTable table;
  table.chains = chains;
  return sim::text(table);
}
std::string rendered(const RuleListPtr& list, Family family = Family::V4,
                     const RuleOptions& opts = options()) {
  return textOf(renderRuleList(*list, PolicyDirection::Ingress, family, opts).chains);
}

TEST(Marks, AreTheLowestBitsOfTheMask) {
  EXPECT_EQ(*allocateMarks(0xffff0000),
            (MarkBits{.accept = 0x10000, .pass = 0x20000, .mask = 0xffff0000}));
  EXPECT_EQ(*allocateMarks(0x000000f1), (MarkBits{.accept = 0x1, .pass = 0x10, .mask = 0xf1}));
}

TEST(Marks, AMaskThatIsTooNarrowSaysHowToWidenIt) {
  const auto marks = allocateMarks(0xf0000);
  ASSERT_FALSE(marks);
  EXPECT_EQ(marks.error().code, Errc::Invalid);
  EXPECT_EQ(
      marks.error().what,
      "0xf0000 has 4 bits, at least 5 are needed: set it to a wider mask, such as the default "
      "0xffff0000");
}

TEST(Marks, AMaskWithBitsOfKubeProxySaysWhichToUse) {
  const auto marks = allocateMarks(0xffffff00);
  ASSERT_FALSE(marks);
  EXPECT_EQ(marks.error().what,
            "0xffffff00 holds bits that kube-proxy uses (0xc000): set it to 0xffff3f00 or to the "
            "default 0xffff0000");
  EXPECT_EQ(allocateMarks(0xc000).error().what,
            "0xc000 holds bits that kube-proxy uses (0xc000): set it to the default 0xffff0000");
}

TEST(RateLimits, AreParsedAsFelixWritesThem) {
  EXPECT_EQ(parseRateLimit("10/minute", 7),
            (dataplane::RateLimitMatch{10, dataplane::RateUnit::Minute, 7}));
  for (const char* bad : {"", "0/second", "10", "10/week", "x/second", "10/minutes"})
    EXPECT_EQ(parseRateLimit(bad, 5), std::nullopt) << bad;
}

TEST(RuleLists, OneKernelRuleARuleWhereThatIsEnough) {
  ResolvedRule web = tcp(RuleAction::Allow, {{80, 80}, {8000, 8099}});
  web.source.nets = nets({"10.0.0.0/8"});
  web.source.sets = {SetId{SetKind::Selector, "has(a)"}};
  const std::string set = setName(web.source.sets[0], Family::V4);
  EXPECT_EQ(rendered(policy({web, rule(RuleAction::Pass), rule(RuleAction::Deny)})),
            "mgy-pi-allow-we-0123456789ab: -p 6 -s 10.0.0.0/8 --dports 80,8000:8099 --match-set " +
                set +
                " src -g mgy-accept  # policy allow-web of tier default\n"
                "mgy-pi-allow-we-0123456789ab: -g mgy-pass\n");
}

TEST(RuleLists, AFewAlternativesAreRulesSideBySide) {
  ResolvedRule web = tcp(RuleAction::Deny, {{80, 80}});
  web.source.nets = nets({"10.0.0.0/8", "11.0.0.0/8"});
  EXPECT_EQ(rendered(policy({web})),
            "mgy-pi-allow-we-0123456789ab: -p 6 --dports 80 -s 10.0.0.0/8 -j DROP  # policy "
            "allow-web of tier default\n"
            "mgy-pi-allow-we-0123456789ab: -p 6 --dports 80 -s 11.0.0.0/8 -j DROP\n");
}

TEST(RuleLists, ManyAlternativesAndExceptionsAreARowOfChains) {
  ResolvedRule web = tcp(RuleAction::Allow, {{80, 80}});
  web.source.nets = nets({"10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"});
  web.source.notNets = nets({"10.1.0.0/16"});
  web.destination.nets = nets({"13.0.0.0/8", "14.0.0.0/8"});
  const auto list = policy({web, rule(RuleAction::Deny)});
  EXPECT_EQ(rendered(list),
            "mgy-pi-0123456789ab-0-0: -s 10.1.0.0/16 -j RETURN\n"
            "mgy-pi-0123456789ab-0-0: -s 10.0.0.0/8 -g mgy-pi-0123456789ab-0-1\n"
            "mgy-pi-0123456789ab-0-0: -s 11.0.0.0/8 -g mgy-pi-0123456789ab-0-1\n"
            "mgy-pi-0123456789ab-0-0: -s 12.0.0.0/8 -g mgy-pi-0123456789ab-0-1\n"
            "mgy-pi-0123456789ab-0-1: -d 13.0.0.0/8 -g mgy-accept\n"
            "mgy-pi-0123456789ab-0-1: -d 14.0.0.0/8 -g mgy-accept\n"
            "mgy-pi-allow-we-0123456789ab: -p 6 --dports 80 -j mgy-pi-0123456789ab-0-0  # policy "
            "allow-web of tier default\n"
            "mgy-pi-allow-we-0123456789ab: --mark 0x10000/0x10000 -j RETURN\n"
            "mgy-pi-allow-we-0123456789ab: -j DROP\n");
}

TEST(RuleLists, PortsAreJoinedAndSplitAfterFifteenSlots) {
  std::vector<api::PortRange> ports;
  for (std::uint16_t port = 100; port < 134; port = static_cast<std::uint16_t>(port + 2))
    ports.push_back({port, port});
  ports.push_back({101, 101});
  EXPECT_EQ(rendered(profile({tcp(RuleAction::Allow, ports)})),
            "mgy-pri-fedcba987654: -p 6 --dports "
            "100:102,104,106,108,110,112,114,116,118,120,122,124,126,128 -g mgy-accept\n"
            "mgy-pri-fedcba987654: -p 6 --dports 130,132 -g mgy-accept\n");
}

TEST(RuleLists, RulesOfTheOtherFamilyVanish) {
  ResolvedRule version = rule(RuleAction::Allow);
  version.ipVersion = Family::V6;
  ResolvedRule source = rule(RuleAction::Allow);
  source.source.nets = nets({"fd00::/8"});
  ResolvedRule exception = rule(RuleAction::Allow);
  exception.destination.notNets = nets({"fd00::/8"});
  ResolvedRule nothing = rule(RuleAction::Allow);
  nothing.destination.notNets = nets({"0.0.0.0/0"});
  ResolvedRule icmp = rule(RuleAction::Allow);
  icmp.protocol = IPPROTO_ICMPV6;
  icmp.icmp = api::IcmpFields{128, std::nullopt};
  const auto list = policy({version, source, exception, nothing, icmp});
  const auto out = renderRuleList(*list, PolicyDirection::Ingress, Family::V4, options());
  EXPECT_THAT(out.entry, IsEmpty());
  EXPECT_THAT(out.chains, IsEmpty());
  EXPECT_FALSE(out.canAccept);
}

TEST(RuleLists, LogsFollowTheirPrefixAndRate) {
  RuleOptions opts = options();
  opts.logPrefix = "%t|%n|%k|100%";
  opts.logRateLimit = parseRateLimit("10/minute", 5);
  EXPECT_EQ(rendered(policy({rule(RuleAction::Log)}), Family::V4, opts),
            "mgy-pi-allow-we-0123456789ab: --limit 10 --limit-burst 5 -j LOG "
            "\"default_allow-web_pol_100%: \"  # policy allow-web of tier default\n");
  opts.logPrefix = "%n";
  const auto text = rendered(policy({rule(RuleAction::Log)}, std::string(300, 'x') + "\n\"; rm"),
                             Family::V4, opts);
  EXPECT_THAT(text, HasSubstr("LOG \"" + std::string(27, 'x') + ": \""));
}

TEST(RuleLists, NamesThatPolicyGivesCannotBreakOut) {
  const auto text = rendered(policy({rule(RuleAction::Allow)}, "a\"\n-j ACCEPT"));
  EXPECT_EQ(text,
            "mgy-pi-a---j-AC-0123456789ab: -g mgy-accept  # policy a__-j ACCEPT of tier default\n");
}

GroupPtr group(std::vector<GroupTier> tiers, std::vector<RuleListPtr> profiles,
               const std::string& hash = "aaaaaaaaaaaaaaaa") {
  auto out = std::make_shared<Group>();
  out->tiers = std::move(tiers);
  out->profiles = std::move(profiles);
  out->hash = hash;
  return out;
}
std::string groupText(const GroupPtr& what) {
  GroupChains chains(Family::V4, options());
  chains.add(what);
  dataplane::RuleTable table;
  table.chains = {{groupChainName(*what), chains.chains().at(groupChainName(*what))}};
  return sim::text(table);
}

TEST(GroupChainsTest, ATierThatDeniesEndsTheGroup) {
  const auto allow = policy({tcp(RuleAction::Allow, {{80, 80}})});
  EXPECT_EQ(groupText(group({{"default", api::TierDefault::Deny, {allow}}},
                            {profile({rule(RuleAction::Allow)})})),
            "mgy-gi-aaaaaaaaaaaaaaaa: -j mgy-pi-allow-we-0123456789ab\n"
            "mgy-gi-aaaaaaaaaaaaaaaa: --mark 0x10000/0x10000 -j RETURN\n"
            "mgy-gi-aaaaaaaaaaaaaaaa: -j DROP  # end of tier default: no policy decided\n");
}

TEST(GroupChainsTest, PassLeadsToTheNextTierAndThenToProfiles) {
  const auto pass = policy({tcp(RuleAction::Pass, {{80, 80}})});
  const auto deny = policy({tcp(RuleAction::Deny, {{81, 81}})}, "deny", "dddddddddddddddd");
  EXPECT_EQ(
      groupText(group(
          {{"a", api::TierDefault::Deny, {pass, deny}}, {"b", api::TierDefault::Pass, {deny}}},
          {profile({rule(RuleAction::Allow)})})),
      "mgy-gi-aaaaaaaaaaaaaaaa: -j mgy-pi-allow-we-0123456789ab\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: --mark 0x0/0x20000 -j mgy-pi-deny-dddddddddddd\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: --mark 0x0/0x20000 -j DROP  # end of tier a: no policy decided\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: -j MARK 0x0/0x20000\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: -j mgy-pi-deny-dddddddddddd\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: -j mgy-pri-fedcba987654\n"
      "mgy-gi-aaaaaaaaaaaaaaaa: --mark 0x10000/0x10000 -j RETURN\n");
}

TEST(GroupChainsTest, APassFromATierDoesNotEndAProfileThatCanPass) {
  ResolvedRule pass = rule(RuleAction::Pass);
  pass.source.notNets = nets({"10.1.0.0/16", "10.2.0.0/16"});
  const auto what = group({{"a", api::TierDefault::Deny, {policy({rule(RuleAction::Pass)})}}},
                          {profile({pass, rule(RuleAction::Allow)})});
  GroupChains chains(Family::V4, options());
  chains.add(what);
  dataplane::RuleTable table;
  table.chains = chains.chains();
  table.chains.merge(verdictChains(options().marks));
  table.hooks = {{dataplane::BaseChain::Forward,
                  dataplane::Position::First,
                  {{}, dataplane::Jump{groupChainName(*what)}, "margay: test"}}};
  sim::Packet packet;
  packet.source = test::ip("10.1.0.1");
  packet.destination = test::ip("10.3.0.1");
  EXPECT_NE(
      sim::run(table, {}, dataplane::BaseChain::Forward, packet).mark & options().marks.accept, 0U);
  packet.source = test::ip("10.3.0.2");
  EXPECT_EQ(
      sim::run(table, {}, dataplane::BaseChain::Forward, packet).mark & options().marks.accept, 0U);
}

TEST(GroupChainsTest, AnEmptyPolicyStillEndsItsTier) {
  EXPECT_EQ(groupText(group({{"default", api::TierDefault::Deny, {policy({})}}}, {})),
            "mgy-gi-aaaaaaaaaaaaaaaa: -j DROP  # end of tier default: no policy decided\n");
}

TEST(GroupChainsTest, SharedListsStayUntilTheLastGroupThatUsesThemGoes) {
  const auto shared = profile({rule(RuleAction::Allow)});
  const auto one = group({}, {shared}, "1111111111111111");
  const auto two = group({}, {shared}, "2222222222222222");
  GroupChains chains(Family::V4, options());
  chains.add(one);
  const auto pointer = chains.chains().at("mgy-pri-fedcba987654");
  chains.add(two);
  chains.add(two);
  chains.remove(*one);
  EXPECT_EQ(chains.chains().at("mgy-pri-fedcba987654"), pointer);
  EXPECT_EQ(chains.chains().size(), 2U);
  chains.remove(*two);
  chains.remove(*two);
  EXPECT_THAT(chains.chains(), IsEmpty());
}

}  // namespace
}  // namespace margay::controllers
