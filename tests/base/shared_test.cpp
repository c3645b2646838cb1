#include "base/shared.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/shared_string.h"

namespace margay {
namespace {

TEST(Shared, EndsItsValueWithTheLastCopy) {
  const auto watched = std::make_shared<int>(1);
  {
    auto first = share(watched);
    auto second = first;
    first = nullptr;
    EXPECT_FALSE(first);
    EXPECT_EQ(**second, 1);
    EXPECT_EQ(watched.use_count(), 2);
    second = share(watched);
    const auto moved = std::move(second);
    EXPECT_TRUE(moved);
  }
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(Shared, IsEqualToItsCopiesOnly) {
  const auto one = share(std::string("text"));
  const auto copy = one;
  EXPECT_EQ(one, copy);
  EXPECT_FALSE(one == share(std::string("text")));
  EXPECT_EQ(Shared<int>{}, Shared<int>{nullptr});
}

TEST(SharedString, KeepsAndComparesItsText) {
  const std::string text(100, 'x');
  SharedString a(text);
  SharedString b = a;
  EXPECT_EQ(a, b);
  EXPECT_EQ(a, SharedString(text));
  EXPECT_EQ(b.str(), text);
  b = "other";
  EXPECT_LT(b, a);
  EXPECT_EQ(b, "other");
  a = SharedString();
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(a.view(), "");
  EXPECT_EQ(a, SharedString(""));
  EXPECT_EQ(sizeof a, sizeof(void*));
}

TEST(SharedString, EndsWithAZeroByteThatViewsDoNotCount) {
  for (const std::size_t size : {1U, 7U, 8U, 15U, 16U, 100U}) {
    const SharedString text(std::string(size, 'x'));
    EXPECT_EQ(text.view().size(), size);
    EXPECT_EQ(text.view().data()[size], '\0');
  }
}

TEST(SharedString, IsCountedOnAnyThread) {
  const SharedString text("shared by threads");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&text] {
        for (int k = 0; k < 1000; ++k) {
          const SharedString copy = text;
          if (copy != text) FAIL();
        }
      });
  }
  EXPECT_EQ(text, "shared by threads");
}

}  // namespace
}  // namespace margay
