#include "base/hashed_ids.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace margay {
namespace {

RC_GTEST_PROP(HashedIds, AnswerAsAMultimapDoes,
              (const std::vector<std::pair<std::uint8_t, std::uint8_t>>& steps)) {
  HashedIds ids;
  std::set<std::pair<std::size_t, std::uint32_t>> expected;
  for (const auto& [hash, id] : steps) {
    // Few hashes in a small table, so that runs meet and wrap.
    const std::pair<std::size_t, std::uint32_t> entry{hash % 16, id % 8};
    if (expected.erase(entry) > 0) {
      ids.erase(entry.first, entry.second);
    } else {
      ids.insert(entry.first, entry.second);
      expected.insert(entry);
    }
    RC_ASSERT(ids.size() == expected.size());
    for (std::size_t each = 0; each < 16; ++each) {
      for (std::uint32_t candidate = 0; candidate < 8; ++candidate) {
        const auto found = ids.find(each, [&](std::uint32_t is) { return is == candidate; });
        RC_ASSERT(found.has_value() == expected.contains({each, candidate}));
      }
    }
  }
}

TEST(HashedIds, HoldManyUnderNeighbouringHashes) {
  HashedIds ids;
  ids.reserve(1000);
  for (std::uint32_t i = 0; i < 100'000; ++i) ids.insert(i, i);
  for (std::uint32_t i = 0; i < 100'000; i += 2) ids.erase(i, i);
  for (std::uint32_t i = 0; i < 100'000; ++i)
    ASSERT_EQ(ids.find(i, [&](std::uint32_t is) { return is == i; }).has_value(), i % 2 == 1) << i;
  EXPECT_EQ(ids.size(), 50'000U);
}

}  // namespace
}  // namespace margay
