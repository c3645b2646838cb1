#include "cmd/agent/host_accepts.h"

#include <gmock/gmock.h>

namespace margay::agent {
namespace {

using controllers::AcceptBy;
using dataplane::BaseChain;
using dataplane::FilterChain;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr FilterChain kForward4{Family::V4, BaseChain::Forward};
constexpr FilterChain kForward6{Family::V6, BaseChain::Forward};

controllers::StaticOptions options() {
  controllers::StaticOptions out;
  out.rules.marks = {0x10000, 0x20000};
  return out;
}
std::size_t hooksOf(AcceptBy by) {
  dataplane::RuleSurvey::Side side;
  side.dropping = {kForward4};
  return acceptTable(side, Family::V4, options(), by).hooks.size();
}

TEST(HostAccepts, WhereNobodyDropsNothingIsAdded) {
  for (const auto backend : {Backend::Nft, Backend::Legacy})
    EXPECT_THAT(acceptPlan(backend, {}, options()), IsEmpty());
}

TEST(HostAccepts, WithNftablesEveryDroppingChainOfIptablesAcceptsByMark) {
  dataplane::RuleSurvey survey;
  survey.legacy.dropping = {kForward4};
  survey.nft.dropping = {kForward6};
  const auto plan = acceptPlan(Backend::Nft, survey, options());
  EXPECT_THAT(plan, SizeIs(2));
  EXPECT_THAT(plan.at({Backend::Legacy, Family::V4}).hooks, SizeIs(hooksOf(AcceptBy::Mark)));
  EXPECT_THAT(plan.at({Backend::Nft, Family::V6}).hooks, SizeIs(hooksOf(AcceptBy::Mark)));
}

TEST(HostAccepts, LegacyTablesWithRulesOfTheBackendAreLeftToIt) {
  dataplane::RuleSurvey survey;
  survey.legacy.dropping = survey.nft.dropping = {kForward4};
  for (const auto backend : {Backend::Nft, Backend::Legacy}) {
    survey.legacy.ours = true;
    const auto plan = acceptPlan(backend, survey, options());
    ASSERT_THAT(plan, SizeIs(1));
    EXPECT_EQ(plan.begin()->first, (AcceptPlace{Backend::Nft, Family::V4}));
    EXPECT_THAT(plan.begin()->second.hooks, SizeIs(hooksOf(AcceptBy::Interface)));
  }
}

TEST(HostAccepts, WhereOursStandAndNobodyDropsAnyMoreTheyGo) {
  dataplane::RuleSurvey survey;
  survey.nft.accepting = {kForward4};
  const auto plan = acceptPlan(Backend::Nft, survey, options());
  ASSERT_THAT(plan, SizeIs(1));
  EXPECT_THAT(plan.begin()->second.hooks, IsEmpty());
}

TEST(HostAccepts, AnotherLookAtTheSameHostAsksForNothingNew) {
  dataplane::RuleSurvey survey;
  survey.nft.dropping = {kForward4};
  const auto plan = acceptPlan(Backend::Nft, survey, options());
  EXPECT_TRUE(sameAccepts(plan, acceptPlan(Backend::Nft, survey, options())));
  auto more = survey;
  more.nft.dropping.insert(kForward6);
  EXPECT_FALSE(sameAccepts(plan, acceptPlan(Backend::Nft, more, options())));
  auto returns = options();
  returns.allow = controllers::AllowAction::Return;
  EXPECT_FALSE(sameAccepts(plan, acceptPlan(Backend::Nft, survey, returns)));
  survey.nft.dropping.clear();
  survey.nft.accepting = {kForward4};
  EXPECT_FALSE(sameAccepts(plan, acceptPlan(Backend::Nft, survey, options())))
      << "what stands there is to go";
}

TEST(HostAccepts, TheReportSaysWhatIsDoneAndWhereNothingCanBe) {
  dataplane::RuleSurvey survey;
  survey.legacy.dropping = {kForward4};
  survey.nativeDropping = {{"inet wall", "fwd"}};
  auto report = acceptReport(Backend::Nft, survey, options());
  EXPECT_THAT(report.done, ElementsAre(HasSubstr("FORWARD of iptables-legacy (IPv4)")));
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("iifname \"cali*\" accept")));
  auto others = options();
  others.allow = controllers::AllowAction::Return;
  report = acceptReport(Backend::Nft, survey, others);
  EXPECT_THAT(report.done, ElementsAre(HasSubstr("FilterAllowAction is RETURN")));
  EXPECT_THAT(acceptReport(Backend::Legacy, survey, options()).done, IsEmpty());
}

}  // namespace
}  // namespace margay::agent
