#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmd/agent/pass_plan.h"
#include "cmd/agent/pass_report.h"
#include "cmd/agent/readiness.h"
#include "cmd/agent/settle_waiters.h"
#include "cmd/agent/source_states.h"
#include "tests/fakes/fake_clock.h"

namespace margay::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsFalse;
using ::testing::IsTrue;

class PassPlanTest : public ::testing::Test {
 protected:
  margay::testing::FakeClock clock;
  PassPlan plan;
};

TEST_F(PassPlanTest, FlushesAndRestsWhenNothingIsLeft) {
  EXPECT_EQ(plan.begin(), PassPlan::Work::Flush);
  plan.computed(PassPlan::Moved::No);
  const auto next = plan.ended(0, std::nullopt, clock.now());
  EXPECT_FALSE(next.atOnce);
  EXPECT_FALSE(next.at);
  EXPECT_FALSE(plan.more());
}

TEST_F(PassPlanTest, FlushesAtOnceAgainWhatMoved) {
  (void)plan.begin();
  plan.computed(PassPlan::Moved::Yes);
  EXPECT_TRUE(plan.ended(1, clock.now(), clock.now()).atOnce);
  EXPECT_TRUE(plan.moving());
  EXPECT_TRUE(plan.more());
  EXPECT_EQ(plan.begin(), PassPlan::Work::Flush);
  plan.computed(PassPlan::Moved::No);
  EXPECT_FALSE(plan.more());
}

TEST_F(PassPlanTest, CollectsGroupsOnceInAPassOfItsOwn) {
  (void)plan.begin();
  EXPECT_TRUE(plan.ended(0, clock.now(), clock.now()).atOnce);
  EXPECT_FALSE(plan.moving()) << "what was asked for is done";
  EXPECT_TRUE(plan.more());
  EXPECT_EQ(plan.begin(), PassPlan::Work::Collect);
  EXPECT_FALSE(plan.more());
  EXPECT_EQ(plan.begin(), PassPlan::Work::Flush);
}

TEST_F(PassPlanTest, CollectsNothingWhileChangesAreLeft) {
  EXPECT_FALSE(plan.ended(1, clock.now(), clock.now()).atOnce);
  EXPECT_EQ(plan.begin(), PassPlan::Work::Flush);
}

TEST_F(PassPlanTest, SetsOneTimerForGroupsThatGoLater) {
  const auto later = clock.now() + 10s;
  EXPECT_EQ(plan.ended(0, later, clock.now()).at, later);
  EXPECT_FALSE(plan.ended(0, later, clock.now()).at);
  plan.collectDue();
  EXPECT_EQ(plan.begin(), PassPlan::Work::Collect);
  EXPECT_EQ(plan.ended(0, later, clock.now()).at, later);
}

TEST(SettleWaiters, AreDoneWhenTheirBarrierCameAndNothingIsLeft) {
  SettleWaiters waiters;
  const auto first = std::make_shared<SettleWaiters::Waiter>();
  const auto second = std::make_shared<SettleWaiters::Waiter>();
  auto firstDone = first->done.get_future();
  auto secondDone = second->done.get_future();
  const auto done = [](std::future<bool>& future) {
    return future.wait_for(0s) == std::future_status::ready;
  };
  const auto barrier = waiters.add(first);
  EXPECT_NE(waiters.add(second), barrier);
  waiters.settled();
  EXPECT_FALSE(done(firstDone));
  waiters.listed(std::vector{barrier});
  EXPECT_FALSE(done(firstDone));
  waiters.settled();
  EXPECT_TRUE(done(firstDone));
  EXPECT_FALSE(done(secondDone));
  waiters.settled();
}

TEST(SettleWaiters, ForgetWhoGaveUp) {
  SettleWaiters waiters;
  const auto waiter = std::make_shared<SettleWaiters::Waiter>();
  auto done = waiter->done.get_future();
  const auto barrier = waiters.add(waiter);
  waiters.remove(waiter);
  waiters.listed(std::vector{barrier});
  waiters.settled();
  EXPECT_EQ(done.wait_for(0s), std::future_status::timeout);
}

TEST(SettleWaiters, EndWithTheAgent) {
  SettleWaiters waiters;
  const auto waiter = std::make_shared<SettleWaiters::Waiter>();
  auto done = waiter->done.get_future();
  waiters.add(waiter);
  waiters.abandon();
  ASSERT_EQ(done.wait_for(0s), std::future_status::ready);
  EXPECT_FALSE(done.get());
  waiters.settled();
}

TEST(Readiness, ComesOnceWithTheFirstPassThatLeavesNothing) {
  Readiness readiness;
  EXPECT_EQ(readiness.notReadyBecause(), "no source has listed yet");
  EXPECT_THAT(readiness.passEnded(3), IsFalse());
  EXPECT_NE(readiness.notReadyBecause(), "no source has listed yet");
  EXPECT_THAT(readiness.passEnded(0), IsTrue());
  EXPECT_EQ(readiness.notReadyBecause(), "");
  EXPECT_THAT(readiness.passEnded(3), IsFalse());
  EXPECT_THAT(readiness.passEnded(0), IsFalse());
  EXPECT_EQ(readiness.notReadyBecause(), "");
}

TEST(Readiness, NamesWhatTheFirstListWaitsFor) {
  Readiness readiness;
  readiness.waitFor({"source file: directory /data: No such file or directory"});
  EXPECT_EQ(readiness.notReadyBecause(), "source file: directory /data: No such file or directory");
  EXPECT_THAT(readiness.passEnded(0), IsTrue());
}

TEST(Readiness, NeverComesPastAnObstacle) {
  Readiness readiness("kube-proxy runs in IPVS mode");
  EXPECT_FALSE(readiness.passEnded(0));
  EXPECT_EQ(readiness.notReadyBecause(), "kube-proxy runs in IPVS mode");
}

TEST(PassReport, SaysWhatChangedInWhichTable) {
  reconcile::PassReport pass;
  pass.tables = {{"filter (IPv4)", {}, 14, 0}, {"route", {}, 0, 0}, {"ipset", {}, 3, 1}};
  EXPECT_EQ(changesByTable(pass), "filter (IPv4): 14, ipset: 3 and 1 failed");
}

TEST(PassReport, TellsTheMetricsWhatIsNewAtTheNextPass) {
  metrics::Metrics metrics("test");
  PassReporter reporter(metrics);
  const controllers::NodeController controller("n1", {});
  NoticeLog notices([](const auto&) {});
  SourceStates sources;
  sources.add("file");
  const auto text = [&] {
    reporter.report({}, controller, sources, notices);
    return metrics.text();
  };
  EXPECT_THAT(text(), HasSubstr("margay_datastore_connected{source=\"file\"} 0"));
  api::SourceState state{.connected = true};
  state.invalid.push_back({.kind = api::Kind::Tier, .kindName = "Tier", .name = "t"});
  sources.take({{"file", state}});
  const auto told = text();
  EXPECT_THAT(told, HasSubstr("margay_datastore_connected{source=\"file\"} 1"));
  EXPECT_THAT(told, HasSubstr("margay_invalid_objects{kind=\"Tier\"} 1"));
  const api::ObjectKey policy{api::Kind::GlobalNetworkPolicy, {}, "p"};
  (void)notices.take({{policy, policy, Remark::Cause::Reference, "spec.tier", "no Tier"}}, {});
  EXPECT_THAT(text(), HasSubstr("margay_invalid_objects{kind=\"GlobalNetworkPolicy\"} 1"));
}

TEST(SourceStates, AreSyncedWhenEverySourceIs) {
  SourceStates states;
  states.add("files");
  states.add("etcd");
  states.take({{"files", {.connected = true, .synced = true}}});
  EXPECT_FALSE(states.synced());
  EXPECT_THAT(states.missing(), ElementsAre("source etcd: has not listed yet"));
  EXPECT_TRUE(states.listable());
  states.take({{"etcd", {.error = "connection refused"}}});
  EXPECT_THAT(states.missing(), ElementsAre("source etcd: connection refused"));
  EXPECT_EQ(states.listable().error().what, "source etcd: connection refused");
  states.take({{"etcd", {.connected = true, .synced = true}}});
  EXPECT_TRUE(states.synced());
  EXPECT_THAT(states.missing(), IsEmpty());
}

TEST(SourceStates, ASourceThatIsAwayAfterItsListIsMissingButSynced) {
  SourceStates states;
  states.add("etcd");
  states.take({{"etcd", {.connected = false, .synced = true, .error = "gone"}}});
  EXPECT_TRUE(states.synced());
  EXPECT_TRUE(states.listable());
  EXPECT_THAT(states.missing(), ElementsAre("source etcd: gone"));
}

}  // namespace
}  // namespace margay::agent
