#include <gmock/gmock.h>

#include "tests/dataplane/network_namespace.h"

namespace margay::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using NetworkNamespaces = NetworkNamespaceTest;

TEST_F(NetworkNamespaces, GiveATestNothingButALoopbackThatIsUp) {
  const auto links = mustShell("ip -o link");
  EXPECT_THAT(links, HasSubstr("1: lo: <LOOPBACK,UP,LOWER_UP>"));
  EXPECT_THAT(links, Not(HasSubstr("2: ")));
}

TEST_F(NetworkNamespaces, NestAndGoBackToWhereTheThreadWas) {
  const auto before = mustShell("readlink /proc/self/ns/net");
  auto other = NetworkNamespace::create();
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(mustShell("readlink /proc/self/ns/net"), before);
  {
    const auto inside = other->enter();
    EXPECT_NE(mustShell("readlink /proc/self/ns/net"), before);
  }
  EXPECT_EQ(mustShell("readlink /proc/self/ns/net"), before);
}

TEST_F(NetworkNamespaces, AreReachableByPathFromOtherProcesses) {
  const auto own = mustShell("readlink /proc/self/ns/net");
  EXPECT_EQ(mustShell("nsenter --net=" + netns_->path() + " readlink /proc/self/ns/net"), own);
}

}  // namespace
}  // namespace margay::testing
