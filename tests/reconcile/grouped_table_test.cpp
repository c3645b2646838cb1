#include "reconcile/grouped_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/fakes/fake_clock.h"
#include "tests/reconcile/fake_groups.h"
#include "tests/reconcile/fake_world.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FakeGroups;
using ::testing::IsEmpty;
using Sets = FakeGroups::Sets;

constexpr TableOptions kOptions{
    .slice = 1000,
    .immediateRetries = 3,
    .backoff = {.initial = 100ms, .cap = 1s, .jitter = 0, .grid = 1ms},
    .audit = {.fullPeriod = 30s, .jitter = 0, .checkPeriod = 1s, .foreignInterval = 5s}};

struct Fixture {
  explicit Fixture(TableOptions options = kOptions) : table("sets", driver(), options, jitter) {}

  GroupedDriver<std::string, std::string, int> driver() {
    auto out = world.driver();
    out.onApplied = [this](Op op, const std::string& name, const int* item) {
      if (op == Op::Remove && item) removed.push_back(name + " " + std::to_string(*item));
    };
    return out;
  }
  void want(const Sets& sets) {
    for (const auto& name : std::set<std::string>{"a", "b", "c"}) {
      if (sets.count(name) == 0) table.removeGroup(name);
    }
    for (const auto& [name, set] : sets) {
      table.addGroup(name, set.type);
      table.replaceItems(name, set.items);
    }
  }
  Progress pass(Removals removals = Removals::Allowed) {
    return testing::pass(table, removals, clock.now());
  }
  void settle() {
    for (int i = 0; i < 200; ++i) {
      if (table.status().converged()) return;
      const auto progress = pass();
      if (progress.changed == 0 && !progress.more) clock.advanceTo(table.nextDue());
    }
  }
  margay::testing::FakeClock clock;
  Jitter jitter{1};
  FakeGroups world;
  std::vector<std::string> removed;
  GroupedTable<std::string, std::string, int> table;
};

TEST(GroupedTable, MakesAndFillsAMissingGroup) {
  Fixture f;
  f.want({{"a", {"net", {1, 2}}}});
  EXPECT_EQ(f.pass().changed, 3U);
  EXPECT_THAT(f.world.log, ElementsAre("create a", "add a 1", "add a 2"));
  EXPECT_EQ(f.pass().changed, 0U);
  const auto status = f.table.status();
  EXPECT_EQ(status.desired, 2U);
  EXPECT_EQ(status.observed, 2U);
  EXPECT_EQ(status.pending, 0U);
  EXPECT_EQ(status.drift, 0U);
}

TEST(GroupedTable, ChangesAnExistingGroupInLaterPhasesThanItFillsANewOne) {
  Fixture f;
  f.world.sets = {{"a", {"net", {1}}}};
  f.want({{"a", {"net", {2}}}, {"b", {"net", {3}}}});
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("create b", "add b 3", "add a 2", "remove a 1"));
  EXPECT_THAT(f.removed, ElementsAre("a 1"));
}

TEST(GroupedTable, TreatsAGroupAsOldOnceItWasFilled) {
  Fixture f;
  f.want({{"a", {"net", {}}}});
  f.pass();
  f.table.addItem("a", 1);
  EXPECT_EQ(f.table.nextPhase(0, Removals::Allowed), 3);
}

TEST(GroupedTable, DestroysLastAndOnlyWhenAllowed) {
  Fixture f;
  f.world.sets = {{"old", {"net", {1}}}, {"a", {"net", {1, 2}}}};
  f.want({{"a", {"net", {2}}}});
  f.pass(Removals::Held);
  EXPECT_THAT(f.world.log, IsEmpty());
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("remove a 1", "destroy old"));
}

TEST(GroupedTable, TriesAgainToDestroyWhatIsReferenced) {
  Fixture f;
  f.world.sets = {{"old", {"net", {}}}};
  f.world.referenced = {"old"};
  const auto start = f.clock.now();
  f.pass();
  EXPECT_EQ(f.table.status().failing, 1U);
  EXPECT_EQ(f.table.nextDue(), start + 100ms);
  EXPECT_EQ(f.table.nextPhase(0, Removals::Allowed), std::nullopt);
  f.world.referenced.clear();
  f.clock.advance(100ms);
  f.pass();
  EXPECT_THAT(f.world.sets, IsEmpty());
}

TEST(GroupedTable, MakesAGroupOfAnotherSpecAnew) {
  Fixture f;
  f.world.sets = {{"a", {"port", {7}}}};
  f.want({{"a", {"net", {1}}}});
  f.pass(Removals::Held);
  EXPECT_THAT(f.world.log, IsEmpty());
  f.pass();
  EXPECT_THAT(f.world.log, ElementsAre("destroy a", "create a", "add a 1"));
}

TEST(GroupedTable, LeavesAReferencedGroupOfAnotherSpecAndSaysSo) {
  Fixture f;
  f.world.sets = {{"a", {"port", {7}}}};
  f.world.referenced = {"a"};
  f.want({{"a", {"net", {1}}}});
  f.pass();
  EXPECT_EQ(f.world.sets, (Sets{{"a", {"port", {7}}}}));
  EXPECT_EQ(f.table.status().lastError->error.what, "in use: a");
  EXPECT_EQ(f.table.status().lastError->key, "set a");
}

TEST(GroupedTable, RepairsWithinASecondWhatWasFlushedAndReadsOnlyThat) {
  Fixture f;
  f.want({{"a", {"net", {1, 2}}}, {"b", {"net", {3}}}});
  f.pass();
  f.world.sets["a"].items.clear();
  f.world.reads.clear();
  EXPECT_EQ(f.table.nextDue(), f.clock.now() + 1s);
  f.clock.advance(1s);
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{1, 2}));
  EXPECT_EQ(f.world.reads.front(), "a");
  EXPECT_EQ(f.table.status().drift, 2U);
}

TEST(GroupedTable, MakesAGroupAgainThatSomebodyDestroyed) {
  Fixture f;
  f.want({{"a", {"net", {1, 2}}}});
  f.pass();
  f.world.sets.clear();
  f.clock.advance(1s);
  f.pass();
  EXPECT_EQ(f.world.sets, (Sets{{"a", {"net", {1, 2}}}}));
  EXPECT_EQ(f.table.status().drift, 3U);
}

TEST(GroupedTable, FindsAnEditOfTheSameSizeWithinTheFullPeriod) {
  Fixture f;
  Sets sets;
  for (const char* name : {"a", "b", "c"}) sets[name] = {"net", {1, 2, 3}};
  f.want(sets);
  f.pass();
  for (const char* name : {"a", "b", "c"}) f.world.sets[name].items = {1, 2, 9};
  for (int i = 0; i < 30; ++i) {
    f.clock.advance(1s);
    f.pass();
  }
  EXPECT_EQ(f.world.sets, sets);
}

TEST(GroupedTable, SpreadsReadingBackOverTheFullPeriod) {
  Fixture f;
  std::set<int> items;
  for (int i = 0; i < 100; ++i) items.insert(i);
  for (int i = 0; i < 60; ++i) {
    f.table.addGroup("set" + std::to_string(i), "net");
    f.table.replaceItems("set" + std::to_string(i), items);
  }
  while (f.pass().more) continue;
  std::size_t most = 0;
  std::set<std::string> all;
  for (int i = 0; i < 30; ++i) {
    f.world.reads.clear();
    f.clock.advance(1s);
    f.pass();
    most = std::max(most, f.world.reads.size());
    all.insert(f.world.reads.begin(), f.world.reads.end());
  }
  EXPECT_LE(most, 3U);
  EXPECT_EQ(all.size(), 60U);
}

TEST(GroupedTable, OneBadItemDoesNotHoldUpTheOthers) {
  Fixture f;
  f.world.refuse = {{1, {Errc::Invalid, 22, "wrong"}}, {2, {Errc::Transient, 11, "busy"}}};
  f.want({{"a", {"net", {1, 2, 3}}}});
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{3}));
  f.table.addItem("a", 4);
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{3, 4}));
  f.world.refuse.erase(2);
  f.clock.advance(100ms);
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{2, 3, 4}));
  f.world.refuse.clear();
  f.table.requestRelist();
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{1, 2, 3, 4}));
}

TEST(GroupedTable, MakesAGroupAnewThatWentWhileItWasFilled) {
  Fixture f;
  f.want({{"a", {"net", {1}}}});
  f.pass();
  f.world.sets.clear();
  f.table.addItem("a", 2);
  EXPECT_TRUE(f.pass().again);
  f.pass();
  EXPECT_EQ(f.world.sets, (Sets{{"a", {"net", {1, 2}}}}));
}

TEST(GroupedTable, CutsAFillIntoSlices) {
  auto options = kOptions;
  options.slice = 10;
  Fixture f(options);
  f.world.sets = {{"old", {"net", {}}}};
  std::set<int> items;
  for (int i = 0; i < 25; ++i) items.insert(i);
  f.want({{"a", {"net", items}}});
  EXPECT_TRUE(f.pass().more);
  EXPECT_EQ(f.world.sets["a"].items.size(), 9U);
  f.table.addItem("a", 100);
  EXPECT_EQ(f.table.nextPhase(0, Removals::Allowed), 1);
  EXPECT_TRUE(f.pass().more);
  EXPECT_EQ(f.world.sets.count("old"), 1U);
  f.pass();
  EXPECT_EQ(f.world.sets["a"].items.size(), 26U);
  EXPECT_EQ(f.world.sets.count("old"), 0U);
}

TEST(GroupedTable, WaitsAfterAFailedListInsteadOfSpinning) {
  Fixture f;
  for (unsigned n = 1; n < 20; ++n) f.world.failCall(n, {Errc::Transient, 0, "no"});
  f.want({{"a", {"net", {1}}}});
  EXPECT_FALSE(f.table.refresh(f.clock.now(), Checks::Now));
  EXPECT_EQ(f.table.nextDue(), f.clock.now() + 100ms);
  EXPECT_EQ(f.table.nextPhase(0, Removals::Allowed), std::nullopt);
}

TEST(GroupedTable, PlansGroupsAndItems) {
  Fixture f;
  f.world.sets = {{"old", {"net", {1}}}, {"b", {"net", {5}}}};
  f.want({{"a", {"net", {1}}}, {"b", {"net", {6}}}});
  ASSERT_TRUE(f.table.refresh(f.clock.now(), Checks::Now));
  EXPECT_THAT(
      f.table.plan(),
      ElementsAre(PlannedChange{Op::Add, "set a"}, PlannedChange{Op::Add, "set a item 1"},
                  PlannedChange{Op::Remove, "set b item 5"}, PlannedChange{Op::Add, "set b item 6"},
                  PlannedChange{Op::Remove, "set old"}));
  EXPECT_THAT(f.world.log, IsEmpty());
}

/// Draws sets; to be called in a property.
Sets anySets() {
  Sets out;
  for (const char* name : {"a", "b", "c"}) {
    if (!*rc::gen::arbitrary<bool>()) continue;
    const auto items = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 20));
    const auto* type = *rc::gen::element("net", "port");
    out[name] = {type, std::set<int>(items.begin(), items.end())};
  }
  return out;
}

RC_GTEST_PROP(GroupedTableProperties, EndsInTheLastDesiredStateWhateverThePath, ()) {
  Fixture f;
  f.world.sets = anySets();
  const auto steps = *rc::gen::inRange(0, 8);
  for (int i = 0; i < steps; ++i) {
    f.want(anySets());
    if (*rc::gen::arbitrary<bool>()) {
      const auto code = *rc::gen::element(Errc::Transient, Errc::Stale, Errc::Interrupted);
      f.world.failCall(f.world.calls() + *rc::gen::inRange(1U, 10U), {code, 0, "x"});
    }
    if (*rc::gen::arbitrary<bool>()) f.pass(*rc::gen::element(Removals::Held, Removals::Allowed));
    if (*rc::gen::arbitrary<bool>()) f.world.sets = anySets();
    f.clock.advance(*rc::gen::element<Duration>(0s, 1s, 40s));
  }
  const Sets last = anySets();
  f.want(last);
  f.table.requestRelist();
  f.pass();
  f.settle();
  RC_ASSERT(f.world.sets == last);
  const auto calls = f.world.log.size();
  f.pass();
  RC_ASSERT(f.world.log.size() == calls);
}

class FailEveryGroupCall : public ::testing::TestWithParam<Errc> {};

TEST_P(FailEveryGroupCall, OnceThenConverges) {
  const Sets desired = {{"a", {"net", {1, 2}}}, {"b", {"net", {3}}}};
  for (unsigned n = 1; n <= 16; ++n) {
    Fixture f;
    f.world.sets = {{"a", {"net", {2, 9}}}, {"b", {"port", {3}}}, {"c", {"net", {4}}}};
    f.world.failCall(n, {GetParam(), 0, "planned"});
    f.want(desired);
    f.pass();
    for (int i = 0; i < 40; ++i) {
      f.clock.advance(1s);
      f.pass();
    }
    EXPECT_EQ(f.world.sets, desired) << "call " << n;
    EXPECT_EQ(f.table.status().pending, 0U) << "call " << n;
  }
}
INSTANTIATE_TEST_SUITE_P(EveryCode, FailEveryGroupCall,
                         ::testing::Values(Errc::Transient, Errc::Stale, Errc::Interrupted,
                                           Errc::Invalid, Errc::Unsupported, Errc::NotFound));

/// As nf_tables counts what anybody changes.
struct CountedFixture : Fixture {
  CountedFixture() : counted("counted", counting(), kOptions, jitter) {
    counted.addGroup("a", "hash");
    counted.addGroup("b", "hash");
    counted.replaceItems("a", std::set<int>{1, 2});
  }
  GroupedDriver<std::string, std::string, int> counting() {
    auto out = world.driver();
    out.fingerprint = [this] { return std::optional(generation); };
    return out;
  }
  /// Passes once a second; returns how many groups were read back in them.
  std::size_t readsIn(int seconds) {
    const auto before = world.reads.size();
    for (int i = 0; i < seconds; ++i) {
      clock.advance(1s);
      (void)testing::pass(counted, Removals::Allowed, clock.now());
    }
    return world.reads.size() - before;
  }
  Fingerprint generation = 1;
  GroupedTable<std::string, std::string, int> counted;
};

TEST(GroupedTable, ReadsNothingBackWhileTheKernelSaysThatNobodyChangedAnything) {
  CountedFixture f;
  EXPECT_GT(f.readsIn(70), 0U) << "all is read once";
  EXPECT_EQ(f.readsIn(120), 0U);
  f.world.sets["a"].items = {1, 3};  // as many as before
  ++f.generation;
  EXPECT_GT(f.readsIn(70), 0U);
  EXPECT_EQ(f.world.sets["a"].items, (std::set<int>{1, 2}));
  EXPECT_EQ(f.counted.status().drift, 2U);
  EXPECT_EQ(f.readsIn(120), 0U) << "and again there is nothing to look for";
}

TEST(GroupedTable, ReadsOnWhileSomethingIsNotAsItShouldBe) {
  CountedFixture f;
  f.world.refuse.insert_or_assign(2, Error{Errc::Invalid, EINVAL, "no"});
  f.readsIn(70);
  EXPECT_GT(f.readsIn(70), 0U);
}

}  // namespace
}  // namespace margay::reconcile
