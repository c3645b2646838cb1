#include "controllers/policy/label_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
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

RC_GTEST_PROP(HashedIds, AnswerAsAMultimapDoes,
              (const std::vector<std::pair<std::uint8_t, std::uint8_t>>& steps)) {
  // The upper bits of 32 choose the slot.
  const auto hashAt = [](std::size_t sixteenth) { return sixteenth << 28U; };
  HashedIds ids;
  std::set<std::pair<std::size_t, std::uint32_t>> expected;
  for (const auto& [hash, id] : steps) {
    // Few homes, so that runs meet, and the last among them, so that they wrap.
    const std::pair<std::size_t, std::uint32_t> entry{hashAt(hash % 16), id % 8};
    if (expected.erase(entry) > 0) {
      ids.erase(entry.first, entry.second);
    } else {
      ids.insert(entry.first, entry.second);
      expected.insert(entry);
    }
    RC_ASSERT(ids.size() == expected.size());
    for (std::size_t home = 0; home < 16; ++home) {
      for (std::uint32_t candidate = 0; candidate < 8; ++candidate) {
        const auto found =
            ids.find(hashAt(home), [&](std::uint32_t is) { return is == candidate; });
        RC_ASSERT(found.has_value() == expected.contains({hashAt(home), candidate}));
      }
    }
  }
}

}  // namespace
}  // namespace margay::controllers
