#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// One agent a host: a second one would undo what the first does.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;

class TwoAgents : public TwoPodsTest {
 protected:
  /// The run ends at once, in one line that names the agent that is there.
  void expectRefused(const std::string& arguments) {
    const auto got = host().agent(arguments + " 2>&1");
    EXPECT_EQ(got.status, 1) << "margay-node " << arguments << ": " << got.output;
    EXPECT_THAT(got.output, HasSubstr(std::to_string(host().pid())));
    EXPECT_THAT(got.output, HasSubstr(host().runDir().string()));
    EXPECT_EQ(std::count(got.output.begin(), got.output.end(), '\n'), 1) << got.output;
  }
};

TEST_F(TwoAgents, TheSecondIsRefusedAndTheFirstGoesOn) {
  host().start();
  cluster().converge();
  const auto before = kernelState(host());
  for (const auto* arguments : {"", "--once", "--cleanup"}) {
    expectRefused(arguments);
    EXPECT_EQ(kernelState(host()), before) << arguments;
  }
  EXPECT_EQ(host().agent("--once --dry-run 2>/dev/null").status, 0) << "it changes nothing";
  EXPECT_TRUE(pingReaches(a().from(), b().address(), kPatience));
  cluster().remove(b().manifestFile());
  cluster().converge();
  EXPECT_THAT(host().mustSh("ip route"), ::testing::Not(HasSubstr(b().device())));
}

TEST_F(TwoAgents, WhatAKilledOneLeftBehindRefusesNobody) {
  host().start();
  cluster().converge();
  host().kill();
  const auto once = host().agent("--once 2>&1");
  EXPECT_EQ(once.status, 0) << once.output;
  host().start();
  cluster().converge();
  expectRefused("--once");
}

}  // namespace
}  // namespace margay::system_tests
