#include "controllers/policy/groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>
#include <set>

#include "controllers/policy/resolve.h"

namespace margay::controllers {
namespace {

using api::PolicyDirection;
using api::RuleAction;
using api::TierDefault;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Matches every packet, or those of one protocol.
ResolvedRule rule(RuleAction action, std::optional<std::uint8_t> protocol = std::nullopt) {
  ResolvedRule out;
  out.action = action;
  out.protocol = protocol;
  return out;
}

RuleListPtr list(const std::string& label, std::vector<ResolvedRule> rules) {
  const std::string tier = label.empty() ? "" : "default";
  auto hash = ruleListHash(label, tier, rules);
  return std::make_shared<const RuleList>(RuleList{label, tier, std::move(rules), std::move(hash)});
}

Group reach(std::vector<GroupTier> tiers, const std::vector<RuleListPtr>& profiles) {
  return reachableGroup(PolicyDirection::Ingress, std::move(tiers), profiles);
}

const RuleListPtr kAllow = list("", {rule(RuleAction::Allow)});
const RuleListPtr kSome = list("some", {rule(RuleAction::Allow, 6)});

TEST(ReachableGroup, NothingIsBehindATierThatDenies) {
  const auto got = reach(
      {{"first", TierDefault::Deny, {kSome}}, {"second", TierDefault::Deny, {kSome}}}, {kAllow});
  EXPECT_THAT(got.tiers, SizeIs(1));
  EXPECT_THAT(got.profiles, IsEmpty());
}

TEST(ReachableGroup, APassRuleOrAPassingTierLeadsOn) {
  const auto pass = list("pass", {rule(RuleAction::Pass, 6)});
  EXPECT_THAT(reach({{"first", TierDefault::Deny, {pass}}}, {kAllow}).profiles,
              ElementsAre(kAllow));
  EXPECT_THAT(reach({{"first", TierDefault::Pass, {kSome}}}, {kAllow}).profiles,
              ElementsAre(kAllow));
}

TEST(ReachableGroup, PoliciesBehindAnUnconditionalRuleAreCut) {
  const auto deny =
      list("deny", {rule(RuleAction::Log), rule(RuleAction::Deny), rule(RuleAction::Pass)});
  const auto got = reach({{"first", TierDefault::Pass, {kSome, deny, kSome}}}, {kAllow});
  EXPECT_THAT(got.tiers[0].policies, ElementsAre(kSome, deny));
  EXPECT_THAT(got.profiles, IsEmpty()) << "the Pass behind Deny is never reached";
}

TEST(ReachableGroup, ProfilesWithoutRulesAreLeftOut) {
  const auto empty = list("", {});
  EXPECT_THAT(reach({}, {empty, kAllow, kSome}).profiles, ElementsAre(kAllow));
  EXPECT_EQ(reach({}, {empty, kAllow}).hash, reach({}, {kAllow}).hash);
}

TEST(ReachableGroup, TheHashTellsDirectionTierAndOrder) {
  const auto other = list("other", {rule(RuleAction::Allow, 17)});
  const auto base = reach({{"t", TierDefault::Deny, {kSome, other}}}, {}).hash;
  EXPECT_NE(base, reach({{"t", TierDefault::Deny, {other, kSome}}}, {}).hash);
  EXPECT_NE(base, reach({{"t", TierDefault::Pass, {kSome, other}}}, {}).hash);
  EXPECT_NE(base, reach({{"u", TierDefault::Deny, {kSome, other}}}, {}).hash);
  EXPECT_NE(
      base,
      reachableGroup(PolicyDirection::Egress, {{"t", TierDefault::Deny, {kSome, other}}}, {}).hash);
}

TEST(RuleListHash, TellsEveryFieldOfARule) {
  const SetId set{.kind = SetKind::Selector, .selector = "all()"};
  std::vector<ResolvedRule> rules(12);
  rules[1].action = RuleAction::Deny;
  rules[2].protocol = 6;
  rules[3].notProtocol = 6;
  rules[4].icmp = api::IcmpFields{8, {}};
  rules[5].notIcmp = api::IcmpFields{8, {}};
  rules[6].source.sets = {set};
  rules[7].destination.sets = {set};
  rules[8].source.notSets = {set};
  rules[9].source.ports = {{80, 80}};
  rules[10].source.notPorts = {{80, 80}};
  rules[11].ipVersion = Family::V4;
  std::set<std::string> hashes;
  for (const auto& one : rules) hashes.insert(ruleListHash("l", "t", {one}));
  hashes.insert(ruleListHash("l", "t", {}));
  hashes.insert(ruleListHash("m", "t", {}));
  hashes.insert(ruleListHash("lt", "", {}));
  EXPECT_THAT(hashes, SizeIs(rules.size() + 3));
}

enum class Verdict { Allow, Deny, Pass, None };

Verdict evaluate(const RuleList& rules, std::uint8_t protocol) {
  for (const auto& one : rules.rules) {
    if (one.protocol && *one.protocol != protocol) continue;
    if (one.action == RuleAction::Allow) return Verdict::Allow;
    if (one.action == RuleAction::Deny) return Verdict::Deny;
    if (one.action == RuleAction::Pass) return Verdict::Pass;
  }
  return Verdict::None;
}

bool allows(const std::vector<GroupTier>& tiers, const std::vector<RuleListPtr>& profiles,
            std::uint8_t protocol) {
  for (const auto& tier : tiers) {
    auto verdict = Verdict::None;
    for (const auto& policy : tier.policies) {
      verdict = evaluate(*policy, protocol);
      if (verdict != Verdict::None) break;
    }
    if (verdict == Verdict::Allow || verdict == Verdict::Deny) return verdict == Verdict::Allow;
    if (verdict == Verdict::None && tier.defaultAction == TierDefault::Deny) return false;
  }
  for (const auto& profile : profiles) {
    const auto verdict = evaluate(*profile, protocol);
    if (verdict == Verdict::Allow || verdict == Verdict::Deny) return verdict == Verdict::Allow;
  }
  return false;
}

RC_GTEST_PROP(ReachableGroup, WhatIsLeftOutChangesNoVerdict, (std::uint32_t seed)) {
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  const auto randomList = [&](const std::string& label) {
    std::vector<ResolvedRule> rules;
    for (unsigned i = below(4); i > 0; --i) {
      rules.push_back(rule(static_cast<RuleAction>(below(4))));
      if (below(4) > 0) rules.back().protocol = static_cast<std::uint8_t>(below(4));
    }
    return list(label, std::move(rules));
  };
  std::vector<GroupTier> tiers;
  for (unsigned i = below(4); i > 0; --i) {
    tiers.push_back({"t" + std::to_string(i),
                     below(2) == 0 ? TierDefault::Deny : TierDefault::Pass,
                     {randomList("p")}});
    for (unsigned k = below(3); k > 0; --k) tiers.back().policies.push_back(randomList("q"));
  }
  std::vector<RuleListPtr> profiles;
  for (unsigned i = below(4); i > 0; --i) profiles.push_back(randomList(""));
  const auto group = reach(tiers, profiles);
  for (std::uint8_t protocol = 0; protocol < 5; ++protocol) {
    RC_ASSERT(allows(tiers, profiles, protocol) == allows(group.tiers, group.profiles, protocol));
  }
}

}  // namespace
}  // namespace margay::controllers
