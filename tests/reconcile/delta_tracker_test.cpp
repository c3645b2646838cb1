#include "reconcile/delta_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace margay::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Map = std::map<int, std::string>;
using Tracker = DeltaTracker<int, std::string>;
using SetTracker = DeltaTracker<int, NoValue>;

struct SameLetter {
  bool operator()(const std::string& desired, const std::string& observed) const {
    return desired.substr(0, 1) == observed.substr(0, 1);
  }
};

template <class AnyTracker>
std::vector<int> readyKeys(AnyTracker& tracker) {
  std::vector<int> out;
  for (const auto slot : tracker.ready()) out.push_back(tracker.key(slot));
  return out;
}

/// Makes every change that is ready in `world`, as a driver would, and confirms it.
void applyAll(Tracker& tracker, Map& world) {
  for (const auto slot : tracker.ready()) {
    if (tracker.op(slot) == Op::Remove) {
      world.erase(tracker.key(slot));
    } else {
      world[tracker.key(slot)] = tracker.desired(slot);
    }
    tracker.confirm(slot);
  }
}

TEST(DeltaTracker, TellsAddReplaceAndRemoveApart) {
  Tracker tracker;
  tracker.replaceObserved(Map{{1, "same"}, {2, "old"}, {3, "leftover"}});
  tracker.replaceDesired(Map{{1, "same"}, {2, "new"}, {4, "missing"}});
  EXPECT_EQ(tracker.op(*tracker.find(1)), std::nullopt);
  EXPECT_EQ(tracker.op(*tracker.find(2)), Op::Replace);
  EXPECT_EQ(tracker.op(*tracker.find(3)), Op::Remove);
  EXPECT_EQ(tracker.op(*tracker.find(4)), Op::Add);
  EXPECT_EQ(tracker.pendingCount(), 3U);
  EXPECT_EQ(tracker.desiredCount(), 3U);
  EXPECT_EQ(tracker.observedCount(), 3U);
}

TEST(DeltaTracker, GivesReadyKeysInTheOrderInWhichTheyBeganToDiffer) {
  SetTracker tracker;
  for (const int key : {5, 1, 9, 3}) tracker.setDesired(key);
  EXPECT_THAT(readyKeys(tracker), ElementsAre(5, 1, 9, 3));
  tracker.setObserved(9);
  EXPECT_THAT(readyKeys(tracker), ElementsAre(5, 1, 3));
}

TEST(DeltaTracker, IsIdleForAKeyThatComesAndGoesBetweenTwoPasses) {
  SetTracker tracker;
  tracker.setDesired(7);
  tracker.removeDesired(7);
  EXPECT_THAT(readyKeys(tracker), IsEmpty());
  EXPECT_EQ(tracker.find(7), std::nullopt);
}

TEST(DeltaTracker, ReportsOnlyInputThatIsNew) {
  Tracker tracker;
  EXPECT_TRUE(tracker.setDesired(1, "a"));
  EXPECT_FALSE(tracker.setDesired(1, "a"));
  EXPECT_TRUE(tracker.setDesired(1, "b"));
  EXPECT_TRUE(tracker.removeDesired(1));
  EXPECT_FALSE(tracker.removeDesired(1));
}

TEST(DeltaTracker, ComparesObservedValuesAsItsOwnerDoes) {
  DeltaTracker<int, std::string, std::hash<int>, SameLetter> tracker;
  tracker.setDesired(1, "main");
  tracker.setObserved(1, "m (as the kernel writes it)");
  EXPECT_EQ(tracker.pendingCount(), 0U);
  tracker.setObserved(1, "other");
  EXPECT_EQ(tracker.pendingCount(Op::Replace), 1U);
}

TEST(DeltaTracker, LeavesParkedKeysOutUntilNewInput) {
  Tracker tracker;
  tracker.setDesired(1, "bad");
  tracker.setDesired(2, "good");
  tracker.park(*tracker.find(1));
  EXPECT_THAT(readyKeys(tracker), ElementsAre(2));
  EXPECT_EQ(tracker.pendingCount(), 2U);
  tracker.setDesired(1, "bad");
  EXPECT_THAT(readyKeys(tracker), ElementsAre(2));
  tracker.setDesired(1, "better");
  EXPECT_THAT(readyKeys(tracker), ElementsAre(2, 1));
  EXPECT_EQ(tracker.parkedCount(), 0U);
}

TEST(DeltaTracker, UnparksWhatItsOwnerNames) {
  SetTracker tracker;
  for (const int key : {1, 2, 3}) tracker.setDesired(key);
  for (const int key : {1, 2, 3}) tracker.park(*tracker.find(key));
  EXPECT_THAT(readyKeys(tracker), IsEmpty());
  tracker.unparkIf([&](auto slot) { return tracker.key(slot) != 2; });
  EXPECT_THAT(readyKeys(tracker), ElementsAre(1, 3));
}

TEST(DeltaTracker, ForgetsMarksWhenAKeyIsInSync) {
  Tracker tracker;
  tracker.setDesired(1, "a");
  tracker.setMarks(*tracker.find(1), 3);
  tracker.confirm(*tracker.find(1));
  EXPECT_EQ(tracker.marks(*tracker.find(1)), 0);
}

TEST(DeltaTracker, NamesKeysThatAListFoundChanged) {
  Tracker tracker;
  tracker.replaceDesired(Map{{1, "a"}, {2, "b"}, {3, "c"}});
  tracker.replaceObserved(Map{{1, "a"}, {2, "b"}, {3, "c"}});
  std::vector<int> changed;
  tracker.replaceObserved(Map{{2, "x"}, {3, "c"}, {4, "foreign"}},
                          [&](auto slot) { changed.push_back(tracker.key(slot)); });
  EXPECT_THAT(changed, ::testing::UnorderedElementsAre(1, 2, 4));
}

TEST(DeltaTracker, KeepsOrderAndParkingWhenMostKeysGo) {
  SetTracker tracker;
  std::vector<int> many(1000);
  for (int i = 0; i < 1000; ++i) many[static_cast<std::size_t>(i)] = i;
  tracker.replaceObserved(many);
  tracker.replaceDesired(many);
  tracker.replaceDesired(std::vector<int>{2000, 3, 1000});
  tracker.park(*tracker.find(1000));
  tracker.replaceObserved(std::vector<int>{3, 7});
  tracker.replaceObserved(std::vector<int>{3, 7});
  EXPECT_THAT(readyKeys(tracker), ElementsAre(7, 2000));
  EXPECT_EQ(tracker.parkedCount(), 1U);
  EXPECT_EQ(tracker.pendingCount(Op::Add), 2U);
}

RC_GTEST_PROP(DeltaTrackerProperties, ApplyingTheDifferenceGivesWhatIsDesired,
              (const Map& desired, const Map& observed)) {
  Tracker tracker;
  Map world = observed;
  tracker.replaceObserved(observed);
  tracker.replaceDesired(desired);
  applyAll(tracker, world);
  RC_ASSERT(world == desired);
  RC_ASSERT(tracker.pendingCount() == 0U);
  RC_ASSERT(tracker.ready().empty());
}

/// Random single and whole changes against two plain maps.
RC_GTEST_PROP(DeltaTrackerProperties, AgreesWithTwoPlainMapsAfterAnyPath, ()) {
  Tracker tracker;
  Map desired;
  Map observed;
  const auto steps = *rc::gen::inRange(1, 300);
  for (int i = 0; i < steps; ++i) {
    const int key = *rc::gen::inRange(0, 40);
    const std::string value(1, static_cast<char>('a' + *rc::gen::inRange(0, 3)));
    switch (*rc::gen::inRange(0, 9)) {
      case 0:
      case 1:
        tracker.setDesired(key, value);
        desired[key] = value;
        break;
      case 2:
        tracker.removeDesired(key);
        desired.erase(key);
        break;
      case 3:
        tracker.setObserved(key, value);
        observed[key] = value;
        break;
      case 4:
        tracker.removeObserved(key);
        observed.erase(key);
        break;
      case 5:
        desired = *rc::gen::container<Map>(rc::gen::inRange(0, 300), rc::gen::just(value));
        tracker.replaceDesired(desired);
        break;
      case 6:
        observed = *rc::gen::container<Map>(rc::gen::inRange(0, 300), rc::gen::just(value));
        tracker.replaceObserved(observed);
        break;
      case 7:
        applyAll(tracker, observed);
        break;
      default:
        if (const auto slot = tracker.find(key)) tracker.park(*slot);
        break;
    }
    std::map<int, Op> expected;
    for (const auto& [k, v] : desired) {
      if (observed.count(k) == 0) expected[k] = Op::Add;
      if (observed.count(k) != 0 && observed[k] != v) expected[k] = Op::Replace;
    }
    for (const auto& [k, v] : observed) {
      if (desired.count(k) == 0) expected[k] = Op::Remove;
    }
    std::map<int, Op> got;
    tracker.forEachPending([&](auto slot) { got[tracker.key(slot)] = *tracker.op(slot); });
    RC_ASSERT(got == expected);
    RC_ASSERT(tracker.pendingCount() == expected.size());
    RC_ASSERT(tracker.desiredCount() == desired.size());
    RC_ASSERT(tracker.observedCount() == observed.size());
    const auto ready = readyKeys(tracker);
    RC_ASSERT(std::set<int>(ready.begin(), ready.end()).size() == ready.size());
    RC_ASSERT(ready.size() + tracker.parkedCount() == expected.size());
  }
}

}  // namespace
}  // namespace margay::reconcile
