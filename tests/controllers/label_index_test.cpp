#include "controllers/policy/label_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace margay::controllers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

api::Labels labels(api::LabelMap pairs) {
  return api::Labels(std::move(pairs));
}
api::Selector selector(std::string_view text) {
  return *api::Selector::parse(text);
}

class LabelIndexTest : public ::testing::Test {
 protected:
  std::vector<std::pair<ClassId, SelectorId>> changes;
  LabelIndex index{[this](ClassId of, SelectorId id) { changes.emplace_back(of, id); }};
};

TEST_F(LabelIndexTest, EqualLabelsAndProfilesAreOneClass) {
  const auto first = index.acquire(labels({{"a", "1"}}), {"p"});
  EXPECT_EQ(index.acquire(labels({{"a", "1"}}), {"p"}), first);
  EXPECT_NE(index.acquire(labels({{"a", "1"}}), {"q"}), first);
  EXPECT_NE(index.acquire(labels({{"a", "2"}}), {"p"}), first);
}

TEST_F(LabelIndexTest, ClassesAndSelectorsFindEachOtherInEitherOrder) {
  const auto early = index.acquire(labels({{"a", "1"}}), {});
  const auto id = index.add(selector("a == '1'"));
  const auto late = index.acquire(labels({{"a", "1"}, {"b", "2"}}), {});
  EXPECT_THAT(index.classesOf(id), ElementsAre(early, late));
  EXPECT_THAT(changes, ElementsAre(std::pair{early, id}, std::pair{late, id}));
  index.release(early);
  EXPECT_EQ(index.matchCount(id), 1U);
}

TEST_F(LabelIndexTest, TheFirstProfileThatHasTheLabelGivesIt) {
  const auto of = index.acquire({}, {"p", "q"});
  const auto id = index.add(selector("a == '1'"));
  index.setProfileLabels("q", labels({{"a", "1"}}));
  EXPECT_TRUE(index.matches(of, id));
  index.setProfileLabels("p", labels({{"a", "2"}}));
  EXPECT_FALSE(index.matches(of, id));
  index.setProfileLabels("p", {});
  EXPECT_TRUE(index.matches(of, id));
}

TEST_F(LabelIndexTest, ASelectorThatContradictsItselfMatchesNothing) {
  index.acquire(labels({{"a", "1"}}), {});
  const auto id = index.add(selector("a == '1' && a == '2'"));
  EXPECT_THAT(index.classesOf(id), IsEmpty());
}

TEST_F(LabelIndexTest, ASelectorIsKeptUntilItsLastUse) {
  const auto of = index.acquire(labels({{"a", "1"}}), {});
  const auto id = index.add(selector("has(a)"));
  EXPECT_EQ(index.add(selector(" has( a ) ")), id);
  index.remove(id);
  EXPECT_TRUE(index.matches(of, id));
  index.remove(id);
  EXPECT_THAT(index.selectorsOf(of), IsEmpty());
}

}  // namespace
}  // namespace margay::controllers
