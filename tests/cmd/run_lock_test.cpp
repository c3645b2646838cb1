#include "cmd/agent/run_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/cmd/program.h"

namespace margay::agent {
namespace {

using cmd_tests::ScratchDirectory;
using ::testing::HasSubstr;

TEST(RunLock, IsHeldByOneAndNamesItToTheOther) {
  const ScratchDirectory scratch;
  {
    const auto first = RunLock::take(scratch.path(), "margay-node");
    ASSERT_TRUE(first);
    const auto second = RunLock::take(scratch.path(), "margay-node --cleanup");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::Invalid);
    EXPECT_THAT(second.error().what,
                HasSubstr("process " + std::to_string(getpid()) + " (margay-node) is at work"));
    EXPECT_THAT(second.error().what, HasSubstr("MARGAY_RUN_DIR=" + scratch.path()));
    EXPECT_THAT(second.error().what, HasSubstr("stop it first"));
  }
  EXPECT_TRUE(RunLock::take(scratch.path(), "margay-node --cleanup"));
}

TEST(RunLock, AFileThatIsLeftBehindDoesNoHarm) {
  const ScratchDirectory scratch;
  scratch.write("margay.lock", "1 margay-node --once and a long line of another one\n");
  const auto lock = RunLock::take(scratch.path(), "margay-node");
  ASSERT_TRUE(lock);
  EXPECT_THAT(RunLock::take(scratch.path(), "x").error().what,
              HasSubstr("process " + std::to_string(getpid()) + " (margay-node) "));
}

TEST(RunLock, NamesTheDirectoryThatCannotBeWritten) {
  const auto lock = RunLock::take("/nonexistent", "margay-node");
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().what, HasSubstr("/nonexistent/margay.lock"));
  EXPECT_THAT(lock.error().what, HasSubstr("MARGAY_RUN_DIR"));
}

}  // namespace
}  // namespace margay::agent
