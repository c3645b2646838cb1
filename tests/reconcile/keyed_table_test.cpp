#include "reconcile/keyed_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "tests/fakes/fake_clock.h"
#include "tests/reconcile/fake_world.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FakeWorld;
using ::testing::IsEmpty;
using Map = std::map<int, std::string>;

constexpr TableOptions kOptions{
    .slice = 1000,
    .immediateRetries = 3,
    .backoff = {.initial = 100ms, .cap = 1s, .jitter = 0, .grid = 1ms},
    .audit = {.fullPeriod = 30s, .jitter = 0, .checkPeriod = 1s, .foreignInterval = 5s}};

/// A table, its world and its time.
struct Fixture {
  explicit Fixture(TableOptions options = kOptions) : Fixture(options, [](auto&) {}) {}
  template <class Adjust>
  Fixture(TableOptions options, Adjust adjust) {
    auto driver = world.driver();
    adjust(driver);
    table.emplace("numbers", std::move(driver), options, jitter);
  }
  Progress pass(Removals removals = Removals::Allowed) {
    return testing::pass(*table, removals, clock.now());
  }
  void settle() {
    for (int i = 0; i < 200; ++i) {
      if (table->status().converged()) return;
      const auto progress = pass();
      if (progress.changed == 0 && !progress.more) clock.advanceTo(table->nextDue());
    }
  }
  margay::testing::FakeClock clock;
  Jitter jitter{1};
  FakeWorld world;
  std::optional<KeyedTable<int, std::string>> table;
};

TEST(KeyedTable, LeavesADueListForLaterUnlessWhatIsThereIsInDoubt) {
  Fixture f;
  f.table->replaceDesired(Map{{1, "one"}});
  f.pass();
  f.world.entries[1] = "other";
  f.clock.advance(31s);
  ASSERT_TRUE(f.table->refresh(f.clock.now(), Checks::Later));
  EXPECT_EQ(f.table->status().pending, 0U);
  EXPECT_LE(f.table->nextDue(), f.clock.now()) << "it is still due";
  f.table->requestRelist();
  ASSERT_TRUE(f.table->refresh(f.clock.now(), Checks::Later));
  EXPECT_EQ(f.table->status().pending, 1U);
}

TEST(KeyedTable, OneObservedKeyIsDriftIfItIsNotAsWeLeftIt) {
  Fixture f;
  f.table->replaceDesired(Map{{1, "one"}, {2, "two"}});
  f.table->observe(1, "not listed yet");
  EXPECT_EQ(f.pass().changed, 2U);
  f.world.entries[1] = "other";
  f.table->observe(1, "other");
  f.table->observe(2, "two");
  EXPECT_EQ(f.table->status().pending, 1U);
  EXPECT_EQ(f.pass().changed, 1U);
  EXPECT_EQ(f.world.entries, (Map{{1, "one"}, {2, "two"}}));
  EXPECT_EQ(f.table->status().drift, 1U);
}

TEST(KeyedTable, ConvergesAndThenChangesNothing) {
  Fixture f;
  f.world.entries = {{1, "same"}, {2, "old"}, {3, "leftover"}};
  f.table->replaceDesired(Map{{1, "same"}, {2, "new"}, {4, "missing"}});
  EXPECT_EQ(f.pass().changed, 3U);
  EXPECT_EQ(f.world.entries, (Map{{1, "same"}, {2, "new"}, {4, "missing"}}));
  EXPECT_THAT(f.world.log, ElementsAre("replace 2", "add 4", "remove 3"));
  EXPECT_EQ(f.pass().changed, 0U);
  EXPECT_EQ(f.world.lists, 1U);
  EXPECT_EQ(f.table->status().changes, (OpCounts{.add = 1, .replace = 1, .remove = 1}));
}

TEST(KeyedTable, PlansWithoutChangingAnything) {
  Fixture f;
  f.world.entries = {{2, "old"}, {3, "leftover"}};
  f.table->replaceDesired(Map{{2, "new"}, {4, "missing"}});
  ASSERT_TRUE(f.table->refresh(f.clock.now(), Checks::Now));
  EXPECT_THAT(f.table->plan(), ElementsAre(PlannedChange{Op::Replace, "2=new"},
                                           PlannedChange{Op::Remove, "3=leftover"},
                                           PlannedChange{Op::Add, "4=missing"}));
  EXPECT_THAT(f.world.log, IsEmpty());
}

TEST(KeyedTable, RemovesNothingBeforeThatIsAllowed) {
  Fixture f;
  f.world.entries = {{3, "leftover"}};
  f.table->setDesired(1, "a");
  f.pass(Removals::Held);
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {3, "leftover"}}));
  EXPECT_EQ(f.table->nextPhase(0, Removals::Held), std::nullopt);
  f.pass(Removals::Allowed);
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}}));
}

TEST(KeyedTable, ChangesNothingBeforeTheFirstList) {
  Fixture f;
  f.world.failCall(1, {Errc::Transient, 0, "list"});
  f.table->setDesired(1, "a");
  EXPECT_FALSE(f.table->refresh(f.clock.now(), Checks::Now));
  EXPECT_EQ(f.table->nextPhase(0, Removals::Allowed), std::nullopt);
  EXPECT_THAT(f.world.log, IsEmpty());
  f.clock.advanceTo(f.table->nextDue());
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("add 1"));
}

TEST(KeyedTable, BacksOffForTheFailingKeyAlone) {
  Fixture f;
  f.world.refuse[1] = {Errc::Transient, 11, "busy"};
  f.table->replaceDesired(Map{{1, "a"}, {2, "b"}});
  const auto start = f.clock.now();
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("add 2"));
  EXPECT_EQ(f.table->nextDue(), start + 100ms);
  EXPECT_EQ(f.table->nextPhase(0, Removals::Allowed), std::nullopt);
  const auto status = f.table->status();
  EXPECT_EQ(status.pending, 1U);
  EXPECT_EQ(status.failing, 1U);
  EXPECT_EQ(status.lastError, (TableError{"1=a", {Errc::Transient, 11, "busy"}, start}));
  f.clock.advance(100ms);
  f.pass();
  EXPECT_EQ(f.table->nextDue(), start + 300ms);
  f.world.refuse.clear();
  f.clock.advance(200ms);
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(f.table->status().failing, 0U);
}

TEST(KeyedTable, WaitsForNewInputAfterInvalid) {
  Fixture f;
  f.world.refuse[1] = {Errc::Invalid, 22, "wrong"};
  f.table->setDesired(1, "a");
  f.pass();
  EXPECT_EQ(f.table->nextDue(), f.clock.now() + 30s);
  f.world.refuse.clear();
  f.clock.advance(20s);
  f.table->setDesired(1, "a");
  f.pass();
  EXPECT_THAT(f.world.log, IsEmpty());
  f.table->setDesired(1, "b");
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("add 1"));
}

TEST(KeyedTable, TriesInvalidAgainAfterAList) {
  Fixture f;
  f.world.refuse[1] = {Errc::Invalid, 22, "wrong"};
  f.table->setDesired(1, "a");
  f.pass();
  f.world.refuse.clear();
  f.table->requestRelist();
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("add 1"));
}

TEST(KeyedTable, ListsAndRetriesAtOnceWhenStale) {
  Fixture f;
  f.world.entries = {{1, "old"}};
  f.table->replaceDesired(Map{{1, "new"}, {2, "b"}});
  f.world.failCall(2, {Errc::Stale, 0, "moved on"});  // the first change
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "new"}, {2, "b"}}));
  EXPECT_EQ(f.world.lists, 2U);
  EXPECT_EQ(f.table->status().drift, 0U);
}

TEST(KeyedTable, BoundsAStormOfStale) {
  Fixture f;
  f.world.refuse[1] = {Errc::Stale, 0, "moved on"};
  f.table->setDesired(1, "a");
  f.pass();
  EXPECT_EQ(f.world.lists, 1U + kOptions.immediateRetries);
  EXPECT_EQ(f.table->status().failing, 1U);
  f.pass();
  f.pass();
  EXPECT_EQ(f.world.lists, 2U + kOptions.immediateRetries);
  EXPECT_EQ(f.table->nextDue(), f.clock.now() + 100ms);
}

TEST(KeyedTable, TakesRemovalOfWhatIsGoneForSuccess) {
  Fixture f;
  f.world.entries = {{1, "a"}};
  f.world.refuse[1] = {Errc::NotFound, 2, "no such entry"};
  f.pass();
  EXPECT_EQ(f.table->status().pending, 0U);
  EXPECT_EQ(f.table->status().errors, 0U);
}

TEST(KeyedTable, RepairsAForeignChangeAfterTheAuditAndCountsIt) {
  Fixture f;
  f.table->replaceDesired(Map{{1, "a"}, {2, "b"}});
  f.pass();
  f.world.entries[1] = "x";
  f.world.entries[9] = "foreign";
  f.clock.advance(29s);
  f.pass();
  EXPECT_EQ(f.table->status().drift, 0U);
  f.clock.advance(1s);
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(f.table->status().drift, 2U);
  EXPECT_EQ(f.table->status().lastRepair, f.clock.now());
}

TEST(KeyedTable, DoesNotCallItsOwnFailedChangeDrift) {
  Fixture f;
  f.table->setDesired(1, "a");
  f.pass();
  f.world.refuse[1] = {Errc::Transient, 0, "half done"};
  f.table->setDesired(1, "b");
  f.pass();
  f.world.entries[1] = "?";
  f.world.refuse.clear();
  f.table->requestRelist();
  f.clock.advance(1s);
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "b"}}));
  EXPECT_EQ(f.table->status().drift, 0U);
}

TEST(KeyedTable, RepairsWithinASecondWhatAFingerprintShows) {
  FakeWorld* world = nullptr;
  Fixture f(kOptions, [&](auto& driver) {
    driver.fingerprint = [&world] { return Result<Fingerprint>(world->fingerprint()); };
  });
  world = &f.world;
  f.table->replaceDesired(Map{{1, "a"}, {2, "b"}});
  f.pass();
  EXPECT_EQ(f.table->nextDue(), f.clock.now() + 1s);
  for (int i = 0; i < 3; ++i) {
    f.world.entries.clear();
    f.clock.advance(1s);
    f.pass();
    EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {2, "b"}}));
  }
  EXPECT_EQ(f.table->status().drift, 6U);
}

TEST(KeyedTable, OwnChangesNeitherCauseAListNorHideAForeignOne) {
  FakeWorld* world = nullptr;
  Fixture f(kOptions, [&](auto& driver) {
    driver.fingerprint = [&world] { return Result<Fingerprint>(world->fingerprint()); };
  });
  world = &f.world;
  f.table->replaceDesired(Map{{1, "a"}, {2, "b"}});
  f.pass();
  f.clock.advance(1s);
  f.pass();
  EXPECT_EQ(f.world.lists, 1U);
  f.world.entries.erase(1);
  f.table->setDesired(3, "c");
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {2, "b"}, {3, "c"}}));
  EXPECT_EQ(f.world.lists, 2U);
}

TEST(KeyedTable, CutsAPassIntoSlicesAndStopsBeforeLaterPhases) {
  auto options = kOptions;
  options.slice = 10;
  Fixture f(options);
  f.world.entries = {{100, "leftover"}};
  for (int i = 0; i < 25; ++i) f.table->setDesired(i, "v");
  EXPECT_TRUE(f.pass().more);
  EXPECT_TRUE(f.pass().more);
  EXPECT_EQ(f.world.entries.count(100), 1U);
  EXPECT_FALSE(f.pass().more);
  EXPECT_THAT(f.world.batches, ElementsAre(10, 10, 5, 1));
  EXPECT_EQ(f.world.entries.size(), 25U);
}

TEST(KeyedTable, MendsWhatATornListMadeOfTheTable) {
  Fixture f;
  f.table->replaceDesired(Map{{1, "a"}, {2, "b"}});
  f.pass();
  f.world.torn = {Map{{2, "b"}, {3, "ghost"}}};
  f.table->requestRelist();
  f.pass();
  EXPECT_EQ(f.world.entries, (Map{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(f.table->status().pending, 0U);
}

TEST(KeyedTable, ListsAgainAtOnceAfterATornDumpButNotForever) {
  Fixture f;
  for (unsigned n = 1; n <= 2; ++n) f.world.failCall(n, {Errc::Interrupted, 0, "torn"});
  EXPECT_TRUE(f.table->refresh(f.clock.now(), Checks::Now));
  EXPECT_EQ(f.world.lists, 3U);
  for (unsigned n = 4; n <= 30; ++n) f.world.failCall(n, {Errc::Interrupted, 0, "torn"});
  f.table->requestRelist();
  EXPECT_FALSE(f.table->refresh(f.clock.now(), Checks::Now));
  EXPECT_EQ(f.world.lists, 7U);
  EXPECT_EQ(f.table->nextDue(), f.clock.now() + 100ms);
}

TEST(KeyedTable, TellsTheWiringWhatItApplied) {
  std::vector<std::pair<Op, std::string>> applied;
  Fixture f(kOptions, [&](auto& driver) {
    driver.onApplied = [&](Op op, int, const std::string& value) {
      applied.emplace_back(op, value);
    };
  });
  f.world.entries = {{3, "leftover"}};
  f.table->setDesired(1, "a");
  f.pass();
  EXPECT_THAT(applied, ElementsAre(std::pair(Op::Add, "a"), std::pair(Op::Remove, "leftover")));
}

RC_GTEST_PROP(KeyedTableProperties, EndsInTheLastDesiredStateWhateverThePath, (const Map& last)) {
  Fixture f;
  f.world.entries = *rc::gen::arbitrary<Map>();
  const auto steps = *rc::gen::inRange(0, 8);
  for (int i = 0; i < steps; ++i) {
    f.table->replaceDesired(*rc::gen::arbitrary<Map>());
    if (*rc::gen::arbitrary<bool>()) f.pass(*rc::gen::element(Removals::Held, Removals::Allowed));
    if (*rc::gen::arbitrary<bool>())
      f.world.failCall(f.world.calls() + 1, {Errc::Transient, 0, "x"});
    f.clock.advance(*rc::gen::element<Duration>(0s, 1s, 40s));
  }
  f.table->replaceDesired(last);
  f.settle();
  RC_ASSERT(f.world.entries == last);
  const auto calls = f.world.log.size();
  f.pass();
  RC_ASSERT(f.world.log.size() == calls);
}

class FailEveryCall : public ::testing::TestWithParam<Errc> {};

TEST_P(FailEveryCall, OnceThenConverges) {
  const Map desired = {{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}};
  for (unsigned n = 1; n <= 12; ++n) {
    Fixture f;
    f.world.entries = {{1, "a"}, {2, "old"}, {8, "x"}, {9, "y"}};
    f.world.failCall(n, {GetParam(), 0, "planned"});
    f.table->replaceDesired(desired);
    f.pass();
    f.settle();
    EXPECT_EQ(f.world.entries, desired) << "call " << n;
    EXPECT_EQ(f.table->status().pending, 0U);
  }
}
INSTANTIATE_TEST_SUITE_P(EveryCode, FailEveryCall,
                         ::testing::Values(Errc::Transient, Errc::Stale, Errc::Interrupted,
                                           Errc::Invalid, Errc::Unsupported, Errc::Bug));

}  // namespace
}  // namespace margay::reconcile
