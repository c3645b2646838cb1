#include "reconcile/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "reconcile/liveness.h"
#include "tests/fakes/fake_clock.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

TEST(Tasks, RunInOrderAndWakeTheLoopEach) {
  int wakes = 0;
  Tasks tasks([&] { ++wakes; });
  std::vector<int> ran;
  tasks.post([&] { ran.push_back(1); });
  tasks.post([&] { ran.push_back(2); });
  tasks.run();
  tasks.run();
  EXPECT_THAT(ran, ElementsAre(1, 2));
  EXPECT_EQ(wakes, 2);
}

TEST(Tasks, LeaveWhatATaskPostsForTheNextRun) {
  Tasks tasks([] {});
  int ran = 0;
  tasks.post([&] { tasks.post([&] { ++ran; }); });
  tasks.run();
  EXPECT_EQ(ran, 0);
  tasks.run();
  EXPECT_EQ(ran, 1);
}

TEST(Tasks, AnswerAnotherThread) {
  Tasks tasks([] {});
  std::atomic<bool> answered = false;
  std::optional<int> answer;
  std::jthread asker([&] {
    answer = tasks.ask<int>([] { return 42; }, 20s);
    answered = true;
  });
  while (!answered) tasks.run();
  asker.join();
  EXPECT_EQ(answer, 42);
}

TEST(Tasks, GiveNoAnswerWhereTheLoopDoesNotCome) {
  Tasks tasks([] {});
  EXPECT_EQ(tasks.ask<int>([] { return 42; }, 0ms), std::nullopt);
}

TEST(Tasks, AfterTheLoopNobodyWaits) {
  Tasks tasks([] {});
  int ran = 0;
  EXPECT_TRUE(tasks.post([&] { ++ran; }));
  tasks.close();
  EXPECT_EQ(ran, 1) << "what was posted before is done";
  EXPECT_FALSE(tasks.post([&] { ++ran; }));
  tasks.run();
  EXPECT_EQ(ran, 1);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(tasks.ask<int>([] { return 42; }, 20s), std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(Liveness, EndsWhereProgressStandsStill) {
  margay::testing::FakeClock clock;
  Liveness liveness;
  EXPECT_TRUE(liveness.alive(1, clock.now()));
  clock.advance(Liveness::kHangs);
  EXPECT_FALSE(liveness.alive(1, clock.now()));
  EXPECT_TRUE(liveness.alive(2, clock.now()));
}

}  // namespace
}  // namespace margay::reconcile
