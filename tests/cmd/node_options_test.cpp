#include "cmd/agent/node_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay::agent {
namespace {

using controllers::AllowAction;
using controllers::DenyAction;
using ::testing::HasSubstr;

using Environment = std::map<std::string, std::string>;

Result<controllers::NodeOptions> optionsOf(Backend backend, const Environment& environment) {
  return nodeOptionsOf(api::Parameters::resolve({.environment = environment}),
                       {.backend = backend});
}
controllers::StaticOptions rulesOf(Backend backend, const Environment& environment) {
  const auto options = optionsOf(backend, environment);
  EXPECT_TRUE(options);
  return options->statics;
}

const Environment kBoth{{"FELIX_IPTABLESFILTERDENYACTION", "REJECT"},
                        {"FELIX_IPTABLESMARKMASK", "0xff00000"},
                        {"FELIX_NFTABLESFILTERALLOWACTION", "RETURN"},
                        {"FELIX_NFTABLESMARKMASK", "0xf8000000"}};

TEST(NodeOptions, LegacyTablesFollowTheParametersOfIptablesAlone) {
  const auto rules = rulesOf(Backend::Legacy, kBoth);
  EXPECT_EQ(rules.rules.deny, DenyAction::Reject);
  EXPECT_EQ(rules.allow, AllowAction::Accept);
  EXPECT_EQ(rules.rules.marks.accept, 0x100000U);
  EXPECT_EQ(rules.dispatch, controllers::Dispatch::Sets);
}

TEST(NodeOptions, NftablesFollowsItsOwnParametersWhereTheyAreSetAndElseThoseOfIptables) {
  const auto rules = rulesOf(Backend::Nft, kBoth);
  EXPECT_EQ(rules.rules.deny, DenyAction::Reject) << "IptablesBackend=NFT and this worked before";
  EXPECT_EQ(rules.allow, AllowAction::Return);
  EXPECT_EQ(rules.rules.marks.accept, 0x8000000U);
  EXPECT_EQ(rules.dispatch, controllers::Dispatch::Maps);
}

TEST(NodeOptions, NftablesThatIsOrderedByItsModeFollowsItsOwnParametersAlone) {
  auto environment = kBoth;
  environment["FELIX_NFTABLESMODE"] = "Enabled";
  const auto rules = rulesOf(Backend::Nft, environment);
  EXPECT_EQ(rules.rules.deny, DenyAction::Drop);
  EXPECT_EQ(rules.allow, AllowAction::Return);
}

TEST(NodeOptions, AMaskThatIsTooNarrowIsNamedByItsParameter) {
  const Environment narrow{{"FELIX_NFTABLESMARKMASK", "0x30000"}};
  EXPECT_TRUE(optionsOf(Backend::Legacy, narrow));
  EXPECT_THAT(optionsOf(Backend::Nft, narrow).error().what, HasSubstr("FELIX_NFTABLESMARKMASK"));
  EXPECT_THAT(optionsOf(Backend::Legacy, {{"FELIX_IPTABLESMARKMASK", "0x30000"}}).error().what,
              HasSubstr("FELIX_IPTABLESMARKMASK"));
}

}  // namespace
}  // namespace margay::agent
