#include "dataplane/set_index.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>

#include "tests/dataplane/network_namespace.h"

namespace margay::dataplane {
namespace {

using testing::mustShell;
using testing::shell;

class SetIndexTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    if (shell("ipset list -n").status != 0) GTEST_SKIP() << "no ipset in this kernel";
    auto opened = SetIndex::open();
    ASSERT_TRUE(opened) << opened.error().what;
    index_.emplace(std::move(*opened));
  }
  std::optional<SetIndex> index_;
};

TEST_F(SetIndexTest, GivesEachSetAnIndexThatLeadsBackToItsName) {
  mustShell("ipset create mgy4-a hash:net && ipset create mgy4-b hash:ip,port");
  const auto a = index_->indexOf("mgy4-a");
  const auto b = index_->indexOf("mgy4-b");
  ASSERT_TRUE(a && b);
  EXPECT_NE(*a, *b);
  EXPECT_EQ(index_->nameOf(*a).value(), "mgy4-a");
  EXPECT_EQ(index_->nameOf(*b).value(), "mgy4-b");
}

TEST_F(SetIndexTest, KeepsTheIndexOfANameOverASwap) {
  mustShell("ipset create mgy4-a hash:net && ipset create mgy4-b hash:net");
  const auto before = index_->indexOf("mgy4-a");
  mustShell("ipset swap mgy4-a mgy4-b");
  EXPECT_EQ(index_->indexOf("mgy4-a").value(), before.value());
}

TEST_F(SetIndexTest, SaysNotFoundForNamesAndIndicesThatNobodyHas) {
  EXPECT_EQ(index_->indexOf("mgy4-none").error().code, Errc::NotFound);
  EXPECT_EQ(index_->nameOf(7).error().code, Errc::NotFound);
  EXPECT_EQ(index_->nameOf(65000).error().code, Errc::NotFound);
}

TEST_F(SetIndexTest, TakesNamesOf31BytesAndRefusesLongerOnes) {
  const std::string longest = "mgy4-" + std::string(26, 'x');
  mustShell("ipset create " + longest + " hash:net");
  const auto index = index_->indexOf(longest);
  ASSERT_TRUE(index) << index.error().what;
  EXPECT_EQ(index_->nameOf(*index).value(), longest);
  EXPECT_EQ(index_->indexOf(longest + "x").error().code, Errc::Invalid);
  EXPECT_EQ(index_->indexOf("").error().code, Errc::Invalid);
}

}  // namespace
}  // namespace margay::dataplane
