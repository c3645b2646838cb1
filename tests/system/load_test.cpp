#include "tests/system/load.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What changes do to the packets that are under way: each is counted, for seconds, at 1,000 a
/// second.
namespace margay::system_tests {
namespace {

using ::testing::IsEmpty;

class UnderLoad : public OneHostTest {
 protected:
  /// Pods of a role may be reached at UDP ports 70, 80 and `port`, and may reach the same.
  void allow(const std::string& role, int port) {
    const auto ports =
        "ports: [{protocol: UDP, port: 70}, {protocol: UDP, port: 80}, {protocol: UDP, port: " +
        std::to_string(port) + "}]";
    cluster().apply(
        "role-" + role + ".yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: role-" + role +
            ", namespace: default}\nspec: {podSelector: {matchLabels: {role: " + role +
            "}}, policyTypes: [Ingress, Egress], ingress: [{" + ports + "}], egress: [{" + ports +
            "}]}\n");
  }
  void move(Pod& pod, const std::string& role) {
    pod.relabel({{"role", role}});
    cluster().rewrite(pod);
  }
};

TEST_F(UnderLoad, MovingBetweenGroupsLosesNoAllowedAndPassesNoDeniedFlow) {
  auto& client = pod("client", 2, {{"role", "x"}});
  auto& target = pod("target", 3, {{"role", "x"}});
  allow("x", 81);
  allow("y", 82);
  host().start();
  cluster().converge();
  Way allowed(client, target, Family::V4, 80, LoadKind::NewFlows);
  Way allowed6(client, target, Family::V6, 80, LoadKind::NewFlows);
  Way denied(client, target, Family::V4, 90, LoadKind::NewFlows);
  for (int turn = 0; turn < 20; ++turn) {
    move(target, turn % 2 == 0 ? "y" : "x");
    if (turn % 3 == 0) cluster().converge();  // else with what comes next, or in a pass before it
    move(client, turn % 4 < 2 ? "y" : "x");
    cluster().converge();
    allow(turn % 2 == 0 ? "y" : "x", 100 + turn);
    if (turn % 2 == 0) allow("x", 200 + turn);
    cluster().converge();
  }
  EXPECT_TRUE(eventually([&] { return allowed.load.sent() > 5000; }));
  for (auto* way : {&allowed, &allowed6}) {
    const auto sent = way->load.stop();
    EXPECT_THAT(way->counter.missing(sent), IsEmpty())
        << sent - way->counter.arrived() << " lost of " << sent;
  }
  EXPECT_EQ(denied.counter.arrived(), 0U) << "of " << denied.load.sent();
  // The denied load is one that would be seen.
  allow("x", 90);
  allow("y", 90);
  EXPECT_TRUE(eventually([&] { return denied.counter.arrived() > 100; }));
}

TEST_F(UnderLoad, KillAtAnyMomentLosesNothingAndEndsInTheSameState) {
  auto& client = pod("client", 2, {{"role", "x"}});
  auto& target = pod("target", 3, {{"role", "x"}});
  auto& other = pod("other", 4, {{"role", "y"}});
  allow("x", 81);
  allow("y", 82);
  host().start();
  cluster().converge();
  const auto converged = kernelState(host());
  Way established(client, target, Family::V4, 80, LoadKind::OneFlow);
  Way established6(client, target, Family::V6, 80, LoadKind::OneFlow);
  Way opened(other, target, Family::V6, 70, LoadKind::NewFlows);
  Way denied(client, target, Family::V4, 90, LoadKind::NewFlows);
  Way denied6(client, target, Family::V6, 90, LoadKind::NewFlows);
  std::mt19937 random(20240917);
  const auto killAfter = [&](int mostMilliseconds) {
    const auto longest = static_cast<unsigned>(mostMilliseconds) * 1000;
    std::this_thread::sleep_for(std::chrono::microseconds(random() % longest));
    host().kill();
  };
  const auto change = [&](int turn) {
    move(target, turn % 2 == 0 ? "y" : "x");
    move(other, turn % 3 == 0 ? "x" : "y");
    for (int n = 0; n < 10; ++n) {
      const auto role = "extra-" + std::to_string(n);
      if (turn % 2 == 0) {
        allow(role, 1000 + turn);
      } else {
        cluster().remove("role-" + role + ".yaml");
      }
    }
    allow("x", 100 + turn);
    allow("y", 300 + turn);
  };
  constexpr int kTurns = 16;
  for (int turn = 0; turn < kTurns; ++turn) {
    change(turn);
    killAfter(60);
    host().start();
    if (turn % 2 == 0) {  // again, while it starts
      killAfter(250);
      host().start();
    }
    if (turn % 3 != 0) cluster().converge();
  }
  move(target, "x");
  move(other, "y");
  allow("x", 81);
  allow("y", 82);
  killAfter(60);
  host().start();
  cluster().converge();
  EXPECT_TRUE(eventually([&] { return kernelState(host()) == converged; }))
      << converged << "\nis now:\n"
      << kernelState(host());
  for (auto* way : {&established, &established6, &opened}) {
    const auto sent = way->load.stop();
    EXPECT_GT(sent, 2000U);
    EXPECT_THAT(way->counter.missing(sent), IsEmpty())
        << sent - way->counter.arrived() << " lost of " << sent;
  }
  EXPECT_EQ(denied.counter.arrived(), 0U) << "of " << denied.load.sent();
  EXPECT_EQ(denied6.counter.arrived(), 0U) << "of " << denied6.load.sent();
  allow("x", 90);
  EXPECT_TRUE(eventually([&] { return denied6.counter.arrived() > 100; }))
      << "the denied load is one that would be seen";
}

}  // namespace
}  // namespace margay::system_tests
