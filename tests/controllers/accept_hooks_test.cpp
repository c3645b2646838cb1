#include "controllers/policy/static_chains.h"

#include <gmock/gmock.h>

namespace margay::controllers {
namespace {

using dataplane::BaseChain;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

StaticOptions options(HostAction toHost = HostAction::Drop) {
  StaticOptions out;
  out.rules.marks = {0x10000, 0x20000};
  out.endpointToHost = toHost;
  return out;
}
std::vector<std::string> lines(const StaticOptions& options, AcceptBy by) {
  std::vector<std::string> out;
  for (const auto& hook : acceptHooks(options, by)) {
    EXPECT_EQ(hook.position, dataplane::Position::Last);
    auto rule = hook.rule;
    rule.comment.clear();
    out.push_back(std::string(dataplane::baseChainText(hook.chain)) + ' ' +
                  dataplane::ruleText(rule, Family::V4));
  }
  return out;
}

TEST(AcceptHooks, ByMarkNothingPassesButWhatPolicyAllowed) {
  EXPECT_THAT(lines(options(), AcceptBy::Mark),
              ElementsAre("FORWARD -i cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                          "FORWARD -i cali+ -m mark --mark 0x10000/0x10000 -j ACCEPT",
                          "FORWARD -o cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                          "FORWARD -o cali+ -m mark --mark 0x10000/0x10000 -j ACCEPT",
                          "INPUT -i cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                          "INPUT -i cali+ -m mark --mark 0x10000/0x10000 -j ACCEPT"));
}

TEST(AcceptHooks, WhatTheHostDecidesIsNotAccepted) {
  EXPECT_THAT(lines(options(HostAction::Return), AcceptBy::Mark),
              ::testing::Contains(::testing::StartsWith("INPUT ")).Times(1));
  EXPECT_THAT(lines(options(HostAction::Return), AcceptBy::Interface),
              ElementsAre("FORWARD -i cali+ -j ACCEPT", "FORWARD -o cali+ -j ACCEPT",
                          "INPUT -i cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
}

TEST(AcceptHooks, WithReturnAsAllowActionOthersDecide) {
  auto all = options();
  all.allow = AllowAction::Return;
  EXPECT_THAT(acceptHooks(all, AcceptBy::Mark), IsEmpty());
}

}  // namespace
}  // namespace margay::controllers
