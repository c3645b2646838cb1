#include "reconcile/relist_on_notice.h"

#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"
#include "tests/reconcile/fake_world.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;

class RelistOnNoticeTest : public ::testing::Test {
 protected:
  RelistOnNoticeTest() { turn(); }

  void turn() {
    timers.runDue(clock.now());
    (void)testing::pass(table, Removals::Allowed, clock.now());
  }
  void changeOurs(int key) {
    table.setDesired(key, "ours");
    turn();
  }

  margay::testing::FakeClock clock;
  Jitter jitter{1};
  testing::FakeWorld world;
  KeyedTable<int, std::string> table{"numbers", world.driver(), TableOptions{}, jitter};
  Timers timers;
  int wakes = 0;
  RelistOnNotice notices{table, timers, [this] { ++wakes; }, 250ms};
};

TEST_F(RelistOnNoticeTest, ListsAtOnceWhenNothingOfOursChanged) {
  const auto lists = world.lists;
  notices.noticed(clock.now());
  turn();
  EXPECT_EQ(world.lists, lists + 1);
}

TEST_F(RelistOnNoticeTest, WaitsAfterAChangeOfOursAndThenListsOnce) {
  changeOurs(1);
  const auto lists = world.lists;
  notices.noticed(clock.now());
  turn();
  EXPECT_EQ(world.lists, lists);
  changeOurs(2);
  notices.noticed(clock.now());
  clock.advance(250ms);
  turn();
  EXPECT_EQ(world.lists, lists + 1);
  EXPECT_EQ(wakes, 1);
}

TEST_F(RelistOnNoticeTest, FindsAForeignChangeAmongOurOwn) {
  changeOurs(1);
  world.entries.erase(1);
  notices.noticed(clock.now());
  turn();
  EXPECT_FALSE(world.entries.contains(1));
  clock.advance(250ms);
  turn();
  EXPECT_TRUE(world.entries.contains(1));
}

TEST_F(RelistOnNoticeTest, ListsAtOnceAgainOnTheNoticeAfterAnEcho) {
  changeOurs(1);
  notices.noticed(clock.now());
  turn();
  const auto lists = world.lists;
  notices.noticed(clock.now());
  turn();
  EXPECT_EQ(world.lists, lists + 1);
}

}  // namespace
}  // namespace margay::reconcile
