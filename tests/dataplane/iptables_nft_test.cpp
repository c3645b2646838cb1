#include <gmock/gmock.h>

#include "dataplane/iptables_nft_driver.h"
#include "dataplane/rule_survey.h"
#include "tests/dataplane/network_namespace.h"

/// Rules of ours in the tables of iptables-nft: what its own tool makes of them, and that nothing
/// of others is touched.
namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::mustShell;
using testing::shell;
using ::testing::SizeIs;

constexpr TableId kFilter4{Family::V4, TableName::Filter};
constexpr TableId kFilter6{Family::V6, TableName::Filter};
constexpr HookKey kForwardLast{BaseChain::Forward, Position::Last};

Rule acceptOf(Side side, std::optional<Match> match, const std::string& comment) {
  Rule out{{InterfaceMatch{side, "cali", NameMatch::Prefix}}, Accept{}, "margay: " + comment};
  if (match) out.matches.push_back(*match);
  return out;
}
ConntrackMatch established() {
  ConntrackMatch out;
  out.established = out.related = true;
  return out;
}
std::vector<Rule> someRules() {
  return {acceptOf(Side::In, MarkMatch{0x10000, 0x10000}, "policy accepted it"),
          acceptOf(Side::Out, established(), "flow"),
          acceptOf(Side::Out, std::nullopt, "policy is elsewhere")};
}

class IptablesNftTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    if (shell("iptables-nft -P FORWARD DROP && ip6tables-nft -P FORWARD DROP && iptables-nft -A "
              "FORWARD -i docker0 -j ACCEPT")
            .status != 0)
      GTEST_SKIP() << "iptables-nft";
    auto opened = IptablesNftDriver::open();
    ASSERT_TRUE(opened) << opened.error().what;
    driver_.emplace(std::move(*opened));
  }
  ObservedTable read(TableId table = kFilter4) {
    auto observed = driver_->read(table);
    EXPECT_TRUE(observed);
    return observed ? *observed : ObservedTable();
  }
  Result<TableFingerprint> write(const std::vector<Rule>& rules, TableId table = kFilter4) {
    TableEdit edit;
    edit.hooks[kForwardLast] = rules;
    return driver_->commit(table, edit, read(table).fingerprint);
  }
  std::optional<IptablesNftDriver> driver_;
};

TEST_F(IptablesNftTest, ItsOwnToolPrintsOursAsIfItHadMadeThem) {
  ASSERT_TRUE(write(someRules()));
  EXPECT_EQ(mustShell("iptables-nft -S FORWARD"), R"(-P FORWARD DROP
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -i cali+ -m mark --mark 0x10000/0x10000 -m comment --comment "margay:last: policy accepted it" -j ACCEPT
-A FORWARD -o cali+ -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "margay:last: flow" -j ACCEPT
-A FORWARD -o cali+ -m comment --comment "margay:last: policy is elsewhere" -j ACCEPT
)");
  ASSERT_TRUE(write(someRules(), kFilter6));
  EXPECT_EQ(shell("ip6tables-nft -D FORWARD -i cali+ -m mark --mark 0x10000/0x10000 -m comment "
                  "--comment 'margay:last: policy accepted it' -j ACCEPT")
                .status,
            0);
  EXPECT_THAT(read(kFilter6).hooks[kForwardLast].rules, SizeIs(2));
}

TEST_F(IptablesNftTest, WhatWasWrittenIsReadAndTakenOutAgain) {
  const auto wanted = driver_->digests(kFilter4, someRules());
  ASSERT_TRUE(wanted);
  EXPECT_THAT(read().hooks, IsEmpty());
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(write(someRules()));
    const auto observed = read();
    EXPECT_EQ(observed.hooks.at(kForwardLast).rules, *wanted);
    EXPECT_TRUE(observed.hooks.at(kForwardLast).inPlace);
    EXPECT_EQ(observed.foreignRules, 1U);
  }
  ASSERT_TRUE(write({}));
  EXPECT_THAT(read().hooks, IsEmpty());
  EXPECT_EQ(mustShell("iptables-nft -S FORWARD"),
            "-P FORWARD DROP\n-A FORWARD -i docker0 -j ACCEPT\n");
}

TEST_F(IptablesNftTest, ChangesOfOthersAreSeen) {
  ASSERT_TRUE(write(someRules()));
  const auto whole = driver_->fingerprint(kFilter4);
  static_cast<void>(mustShell("nft add table ip unrelated"));
  EXPECT_EQ(*driver_->fingerprint(kFilter4), *whole) << "elsewhere";
  static_cast<void>(mustShell("iptables-nft -A FORWARD -s 192.0.2.1 -j DROP"));
  EXPECT_NE(*driver_->fingerprint(kFilter4), *whole);
  EXPECT_FALSE(read().hooks[kForwardLast].inPlace) << "one behind ours";
  // Made anew by a tool that keeps text alone: ours, and not as we wrote it.
  static_cast<void>(
      mustShell("iptables-nft-save > /tmp/margay-rules && iptables-nft-restore "
                "/tmp/margay-rules; rm /tmp/margay-rules"));
  EXPECT_THAT(read().hooks[kForwardLast].rules, ElementsAre(0U, 0U, 0U));
  TableEdit edit;
  edit.hooks[kForwardLast] = someRules();
  const auto stale = driver_->commit(kFilter4, edit, *whole);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, Errc::Stale);
  ASSERT_TRUE(write(someRules()));
  EXPECT_TRUE(read().hooks[kForwardLast].inPlace);
}

TEST_F(IptablesNftTest, ATableThatIsNotThereIsNotMade) {
  static_cast<void>(mustShell("nft flush ruleset"));
  EXPECT_THAT(read().hooks, IsEmpty());
  EXPECT_FALSE(write(someRules()));
  EXPECT_EQ(mustShell("nft list ruleset"), "");
}

TEST_F(IptablesNftTest, TheSurveySeesWhoDropsAndWhereOursStand) {
  RuleSurveyor surveyor;
  auto survey = surveyor.survey();
  ASSERT_TRUE(survey);
  EXPECT_THAT(survey->nft.dropping, ElementsAre(FilterChain{Family::V4, BaseChain::Forward},
                                                FilterChain{Family::V6, BaseChain::Forward}));
  EXPECT_THAT(survey->nft.accepting, IsEmpty());
  EXPECT_EQ(surveyor.survey().value(), survey.value()) << "nothing has changed";
  const auto rules = survey->nft.rules;
  ASSERT_TRUE(write(someRules()));
  static_cast<void>(mustShell(
      "iptables-nft -P FORWARD ACCEPT; iptables-nft -P INPUT DROP; iptables-legacy -P INPUT DROP; "
      "iptables-legacy -A INPUT -m comment --comment 'margay:last: x' -j ACCEPT; nft add table "
      "inet wall; nft add chain inet wall guard '{ type filter hook forward priority 0; policy "
      "drop; "
      "}'"));
  survey = surveyor.survey();
  ASSERT_TRUE(survey);
  EXPECT_THAT(survey->nft.dropping, ElementsAre(FilterChain{Family::V4, BaseChain::Input},
                                                FilterChain{Family::V6, BaseChain::Forward}));
  EXPECT_THAT(survey->nft.accepting, ElementsAre(FilterChain{Family::V4, BaseChain::Forward}));
  EXPECT_EQ(survey->nft.rules, rules) << "ours are not of others";
  EXPECT_THAT(survey->legacy.dropping, ElementsAre(FilterChain{Family::V4, BaseChain::Input}));
  EXPECT_THAT(survey->legacy.accepting, ElementsAre(FilterChain{Family::V4, BaseChain::Input}));
  EXPECT_EQ(survey->legacy.rules, 0U);
  EXPECT_FALSE(survey->legacy.ours);
  EXPECT_THAT(survey->nativeDropping, ElementsAre(NativeChain{"inet wall", "guard"}));
}

}  // namespace
}  // namespace margay::dataplane
