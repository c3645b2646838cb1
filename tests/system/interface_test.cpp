#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// Interfaces of workloads that come, go and come again, before and after their manifests.
namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::Not;

class Interfaces : public TwoPodsTest {
 protected:
  void SetUp() override {
    TwoPodsTest::SetUp();
    if (IsSkipped()) return;
    server_ = std::make_unique<EchoServer>(b().ns(), 80);
    host().start();
    cluster().converge();
    whole_ = kernelState(host());
    EXPECT_THAT(whole_,
                ContainsRegex("10.65.1.3 dev [a-z0-9]+ lladdr 02:00:00:00:00:03 PERMANENT"));
    EXPECT_THAT(whole_,
                ContainsRegex("fd65:0:0:1::3 dev [a-z0-9]+ lladdr 02:00:00:00:00:03 PERMANENT"));
  }
  /// Packets of both families pass, in both directions, and the kernel has what it had at first.
  void expectWhole() {
    EXPECT_TRUE(eventually([&] { return kernelState(host()) == whole_; })) << whole_ << "\nis now\n"
                                                                           << kernelState(host());
    for (const auto family : {Family::V4, Family::V6}) {
      EXPECT_TRUE(tcpReaches(a().from(), b().address(family), 80, kPatience));
      EXPECT_TRUE(pingReaches(b().from(), a().address(family), kPatience));
      EXPECT_TRUE(udpReaches(host().from(), b().address(family), 80, kPatience));
    }
  }
  std::string routes() { return host().mustSh("ip route; ip -6 route"); }

 private:
  std::unique_ptr<EchoServer> server_;
  std::string whole_;
};

TEST_F(Interfaces, OneThatIsMadeAgainWorksAgain) {
  expectWhole();
  for (int turn = 0; turn < 3; ++turn) {
    b().unwire();
    if (turn == 1) cluster().converge();  // else both at once
    b().wire();
    expectWhole();
  }
}

TEST_F(Interfaces, OneThatIsMadeAgainWhileNoAgentRunsWorksAfterTheStart) {
  EXPECT_EQ(host().stop(), 0);
  b().unwire();
  b().wire();
  host().start();
  cluster().converge();
  expectWhole();
}

TEST_F(Interfaces, ManifestBeforeInterface) {
  b().unwire();
  cluster().remove(b().manifestFile());
  cluster().converge();
  cluster().rewrite(b());
  ASSERT_TRUE(eventually([&] { return host().metric("margay_endpoints{scope=\"local\"}") == 2; }));
  EXPECT_THAT(routes(), Not(ContainsRegex("10.65.1.3 |fd65:0:0:1::3 ")));
  b().wire();
  expectWhole();
}

TEST_F(Interfaces, InterfaceBeforeManifest) {
  cluster().remove(b().manifestFile());
  cluster().converge();
  EXPECT_THAT(routes(), Not(ContainsRegex("10.65.1.3 |fd65:0:0:1::3 ")));
  EXPECT_FALSE(udpReaches(a().from(), b().address(), 80, kNoAnswer));
  b().unwire();
  b().wire();
  cluster().rewrite(b());
  cluster().converge();
  expectWhole();
}

TEST_F(Interfaces, OneThatGoesDownAndUpWorksAgain) {
  static_cast<void>(host().mustSh("ip link set " + b().device() + " down"));
  ASSERT_TRUE(eventually([&] { return routes().find("10.65.1.3 ") == std::string::npos; }));
  static_cast<void>(host().mustSh("ip link set " + b().device() + " up"));
  expectWhole();
}

}  // namespace
}  // namespace margay::system_tests
