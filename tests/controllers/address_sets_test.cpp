#include "controllers/node/address_sets.h"

#include <gmock/gmock.h>

namespace margay::controllers {
namespace {

using dataplane::SetType;
using ::testing::Pair;

dataplane::SetMember member(const char* net) {
  dataplane::SetMember out;
  out.net = *Prefix::parseNetwork(net);
  return out;
}
MembersChange came(const char* net) {
  return {{}, {member(net)}};
}
MembersChange left(const char* net) {
  return {{member(net)}, {}};
}
dataplane::ChainRules asking(const std::string& set) {
  dataplane::SetMatch match;
  match.set = set;
  return std::make_shared<const std::vector<dataplane::Rule>>(
      std::vector<dataplane::Rule>{{{match}, dataplane::Drop{}, {}}});
}
std::string setAskedBy(const dataplane::ChainRules& rules) {
  return std::get<dataplane::SetMatch>(rules->front().matches.front()).set;
}

TEST(AddressSets, OneOfSingleAddressesIsAHash) {
  AddressSets sets;
  EXPECT_FALSE(sets.count("mgy4-s-web-1", came("10.0.0.1/32")));
  EXPECT_THAT(sets.layout("mgy4-s-web-1"), Pair("mgy4-s-web-1", SetType::HashAddress));
}

TEST(AddressSets, OneWithANetIsASetOfIntervalsUnderAnotherNameUntilTheLastNetIsGone) {
  AddressSets sets;
  EXPECT_TRUE(sets.count("mgy4-s-web-1", came("10.1.0.0/16")));
  EXPECT_FALSE(sets.count("mgy4-s-web-1", came("10.2.0.0/16")));
  EXPECT_THAT(sets.layout("mgy4-s-web-1"), Pair("mgy4-n-web-1", SetType::HashNet));
  EXPECT_FALSE(sets.count("mgy4-s-web-1", left("10.1.0.0/16")));
  EXPECT_TRUE(sets.count("mgy4-s-web-1", left("10.2.0.0/16")));
  EXPECT_THAT(sets.layout("mgy4-s-web-1"), Pair("mgy4-s-web-1", SetType::HashAddress));
}

TEST(AddressSets, ChainsThatAskASetWithNetsAskItByItsName) {
  AddressSets sets;
  const ChainMap chains{{"mgy-a", asking("mgy4-s-web-1")}, {"mgy-b", asking("mgy4-s-db-1")}};
  EXPECT_EQ(sets.renamed(chains), chains);
  sets.count("mgy4-s-web-1", came("10.1.0.0/16"));
  const auto renamed = sets.renamed(chains);
  EXPECT_EQ(setAskedBy(renamed.at("mgy-a")), "mgy4-n-web-1");
  EXPECT_EQ(renamed.at("mgy-b"), chains.at("mgy-b"));
  EXPECT_EQ(sets.renamed(chains), renamed) << "the same objects";
  sets.forget("mgy4-s-web-1");
  EXPECT_EQ(sets.renamed(chains), chains);
}

}  // namespace
}  // namespace margay::controllers
