#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/system/backend.h"
#include "tests/system/cluster.h"

/// Interfaces of workloads that come, go and come again, before and after their manifests.
namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::Not;

class Interfaces : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    host_ = &cluster().addHost("one");
    cluster().addNamespace("default");
    a_ = &pod("a", "2");
    b_ = &pod("b", "3");
    server_ = std::make_unique<EchoServer>(b_->ns(), 80);
    host_->start();
    cluster().converge();
    whole_ = kernelState(*host_);
    EXPECT_THAT(whole_,
                ContainsRegex("10.65.1.3 dev [a-z0-9]+ lladdr 02:00:00:00:00:03 PERMANENT"));
    EXPECT_THAT(whole_,
                ContainsRegex("fd65:0:0:1::3 dev [a-z0-9]+ lladdr 02:00:00:00:00:03 PERMANENT"));
  }
  Pod& pod(const std::string& name, const std::string& number) {
    return cluster().addPod(*host_, {.name = name,
                                     .addresses = {"10.65.1." + number, "fd65:0:0:1::" + number},
                                     .mac = "02:00:00:00:00:0" + number});
  }
  /// Packets of both families pass, in both directions, and the kernel has what it had at first.
  void expectWhole() {
    EXPECT_TRUE(eventually([&] { return kernelState(*host_) == whole_; })) << whole_ << "\nis now\n"
                                                                           << kernelState(*host_);
    for (const auto family : {Family::V4, Family::V6}) {
      EXPECT_TRUE(tcpReaches(a_->from(), b_->address(family), 80, kPatience));
      EXPECT_TRUE(pingReaches(b_->from(), a_->address(family), kPatience));
      EXPECT_TRUE(udpReaches(host_->from(), b_->address(family), 80, kPatience));
    }
  }
  std::string routes() { return host_->mustSh("ip route; ip -6 route"); }
  Host& host() { return *host_; }
  Pod& a() { return *a_; }
  Pod& b() { return *b_; }

 private:
  Host* host_ = nullptr;
  Pod* a_ = nullptr;
  Pod* b_ = nullptr;
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
