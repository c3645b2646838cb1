#include "reconcile/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/fake_clock.h"
#include "tests/reconcile/fake_groups.h"
#include "tests/reconcile/fake_world.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Every look at it costs a millisecond: waits end although nobody moves it.
class TickingClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_ += 1ms; }

 private:
  mutable TimePoint now_ = TimePoint{} + 1h;
};

/// Logs what it is asked to do; `steps` of it are to do in the phases named.
class ScriptedTable final : public Table {
 public:
  ScriptedTable(std::string name, std::vector<std::string>& log)
      : name_(std::move(name)), log_(log) {}

  std::map<Phase, Progress> steps;
  TimePoint due = TimePoint::max();
  std::optional<Checks> lastChecks;
  std::function<void()> onApply = [] {};

  [[nodiscard]] const std::string& name() const override { return name_; }
  void requestRelist() override {}
  void suspect(TimePoint /*now*/) override {}
  Result<void> refresh(TimePoint /*now*/, Checks checks) override {
    log_.push_back(name_ + " refresh");
    lastChecks = checks;
    return {};
  }
  std::optional<Phase> nextPhase(Phase from, Removals /*removals*/) override {
    const auto step = steps.lower_bound(from);
    return step == steps.end() ? std::nullopt : std::optional(step->first);
  }
  Progress apply(Phase phase, Removals removals, TimePoint /*now*/) override {
    const auto step = steps.find(phase);
    if (step == steps.end()) return {};
    onApply();
    log_.push_back(name_ + " " + std::to_string(phase) +
                   (removals == Removals::Held ? " held" : ""));
    const Progress done = step->second;
    steps.erase(step);
    return done;
  }
  [[nodiscard]] TimePoint nextDue() const override { return due; }
  [[nodiscard]] TableStatus status() const override {
    return {.name = name_, .pending = steps.size(), .inDoubt = false};
  }
  [[nodiscard]] std::vector<PlannedChange> plan() const override { return {}; }

 private:
  std::string name_;
  std::vector<std::string>& log_;
};

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() {
    loop.add(a);
    loop.add(b);
  }
  margay::testing::FakeClock clock;
  std::vector<std::string> log;
  unsigned computed = 0;
  std::vector<PassReport> reports;
  Loop loop{clock,
            {},
            {.compute = [this](TimePoint) { ++computed; },
             .afterPass = [this](const PassReport& report) { reports.push_back(report); }}};
  ScriptedTable a{"a", log};
  ScriptedTable b{"b", log};
};

TEST_F(LoopTest, RunsPhasesInOrderOverAllTablesInOrderOfRegistration) {
  a.steps = {{1, {}}, {5, {}}};
  b.steps = {{-2, {}}, {1, {}}, {4, {}}};
  loop.turn();
  EXPECT_THAT(log, ElementsAre("a refresh", "b refresh", "b -2 held", "a 1 held", "b 1 held",
                               "b 4 held", "a 5 held"));
}

TEST_F(LoopTest, APassThatSomebodyWaitsForLeavesDueChecksForAWhile) {
  loop.turn();
  const auto due = clock.now() + 1s;
  a.due = due;
  const auto checksAt = [&](TimePoint time) {
    clock.advanceTo(time);
    loop.poke();
    loop.turn();
    EXPECT_EQ(a.lastChecks, b.lastChecks);
    return *a.lastChecks;
  };
  EXPECT_EQ(checksAt(due - 1ms), Checks::Later) << "nothing is due";
  EXPECT_EQ(checksAt(due + 249ms), Checks::Later);
  EXPECT_EQ(checksAt(due + 250ms), Checks::Now) << "however many events come";
}

TEST_F(LoopTest, ChecksThatWereLeftComeRightAfterwards) {
  loop.turn();
  clock.advance(1s);
  a.due = clock.now();
  loop.poke();
  loop.turn();
  EXPECT_EQ(a.lastChecks, Checks::Later);
  clock.advance(5ms);
  loop.turn();
  EXPECT_EQ(a.lastChecks, Checks::Now);
}

TEST_F(LoopTest, EndsThePassAfterAPhaseWhoseSliceWasFullAndGoesOnAtOnce) {
  a.steps = {{1, {.changed = 10, .more = true}}};
  b.steps = {{1, {.changed = 2}}, {2, {.changed = 1}}};
  EXPECT_LE(loop.turn(), clock.now());
  EXPECT_THAT(log, ElementsAre("a refresh", "b refresh", "a 1 held", "b 1 held"));
  EXPECT_EQ(reports.back().changed, 12U);
  EXPECT_TRUE(reports.back().more);
  loop.turn();
  EXPECT_EQ(log.back(), "b 2 held");
}

TEST_F(LoopTest, AllowsRemovalsOnlyWhenTold) {
  a.steps = {{1, {}}};
  loop.turn();
  EXPECT_EQ(log.back(), "a 1 held");
  a.steps = {{1, {}}};
  loop.allowRemovals();
  loop.turn();
  EXPECT_EQ(log.back(), "a 1");
}

TEST_F(LoopTest, RunsAPassAtStartWhenPokedAndWhenDueAndNotElse) {
  loop.turn();
  loop.turn();
  EXPECT_EQ(computed, 1U);
  loop.poke();
  loop.turn();
  EXPECT_EQ(computed, 2U);
  a.due = clock.now() + 300ms;
  EXPECT_EQ(loop.turn(), clock.now() + 300ms);
  clock.advance(299ms);
  loop.turn();
  EXPECT_EQ(computed, 2U);
  clock.advance(1ms);
  a.due = clock.now();
  loop.turn();
  EXPECT_EQ(computed, 3U);
}

TEST(LoopWithHooks, RestsWhenItsPassesAllowRemovalsAgainAndAgain) {
  const margay::testing::FakeClock clock;
  Loop* allowed = nullptr;
  unsigned computed = 0;
  Loop loop{clock,
            {},
            {.compute =
                 [&](TimePoint) {
                   ++computed;
                   allowed->allowRemovals();
                 },
             .afterPass = [](const PassReport&) {}}};
  allowed = &loop;
  for (int turns = 0; turns < 10; ++turns) loop.turn();
  EXPECT_LE(computed, 2U);
  EXPECT_GT(loop.turn(), clock.now());
}

TEST_F(LoopTest, DoesNotSpinOnATableThatIsAlwaysDue) {
  a.due = TimePoint{};
  loop.turn();
  EXPECT_EQ(loop.turn(), clock.now() + LoopOptions{}.minInterval);
  EXPECT_EQ(computed, 1U);
}

TEST_F(LoopTest, TurnsAtLeastEveryHeartbeatAndCounts) {
  loop.turn();
  const auto before = loop.progress();
  EXPECT_EQ(loop.turn(), clock.now() + 1s);
  EXPECT_GT(loop.progress(), before);
}

TEST_F(LoopTest, RunsTimers) {
  std::vector<std::string> fired;
  loop.timers().at(clock.now() + 20ms, [&] { fired.push_back("once"); });
  const auto id = loop.timers().every(clock.now() + 10ms, 10ms, [&] { fired.push_back("often"); });
  EXPECT_EQ(loop.turn(), clock.now() + 10ms);
  clock.advance(10ms);
  loop.turn();
  clock.advance(35ms);
  loop.turn();
  EXPECT_THAT(fired, ElementsAre("often", "once", "often"));
  loop.timers().cancel(id);
  clock.advance(1s);
  loop.turn();
  EXPECT_EQ(fired.size(), 3U);
}

TEST_F(LoopTest, SurvivesExceptionsOfTablesAndCallbacks) {
  a.steps = {{1, {}}, {2, {}}};
  b.steps = {{2, {.changed = 1}}};
  a.onApply = [this] {
    a.steps.clear();
    throw std::runtime_error("driver");
  };
  loop.timers().at(clock.now(), [] { throw 1; });
  loop.turn();
  EXPECT_EQ(reports.back().failed, 1U);
  EXPECT_EQ(reports.back().changed, 1U);
}

TEST_F(LoopTest, StopsBetweenTwoTables) {
  a.steps = {{1, {}}};
  b.steps = {{1, {}}};
  a.onApply = [this] { loop.stop(); };
  EXPECT_TRUE(loop.run());
  EXPECT_EQ(log.back(), "a 1 held");
  EXPECT_TRUE(reports.back().interrupted);
}

TEST_F(LoopTest, LooksWithoutChangingAnything) {
  a.steps = {{1, {}}};
  loop.look();
  EXPECT_EQ(computed, 1U);
  EXPECT_THAT(log, ElementsAre("a refresh", "b refresh"));
}

TEST(LoopThreads, ServesDescriptorsPokesAndStopFromOtherThreads) {
  SteadyClock clock;
  std::atomic<unsigned> passes = 0;
  std::promise<void> read;
  Loop loop(clock, {}, {.compute = [&](TimePoint) { ++passes; }, .afterPass = nullptr});
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  ASSERT_TRUE(loop.watch(fd, [&] {
    std::uint64_t count = 0;
    EXPECT_EQ(::read(fd, &count, sizeof count), static_cast<ssize_t>(sizeof count));
    loop.unwatch(fd);
    read.set_value();
  }));
  std::jthread thread([&] { EXPECT_TRUE(loop.run()); });
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  EXPECT_EQ(read.get_future().wait_for(10s), std::future_status::ready);
  const auto before = passes.load();
  loop.poke();
  while (passes.load() == before) std::this_thread::yield();
  EXPECT_GT(loop.progress(), 0U);
  loop.stop();
  thread.join();
  EXPECT_TRUE(loop.stopped());
  ::close(fd);
}

/// Two real tables on fakes.
struct OnceFixture {
  using Numbers = std::map<int, std::string>;
  static constexpr TableOptions kOptions{
      .slice = 10, .backoff = {.initial = 2ms, .cap = 5ms, .grid = 1ms}, .audit = {}};

  OnceFixture() {
    loop.add(sets);
    loop.add(numbers);
    loop.allowRemovals();
  }
  TickingClock clock;
  Jitter jitter{1};
  testing::FakeWorld world;
  testing::FakeGroups groups;
  Loop loop{clock, {.minInterval = 1ms, .oncePatience = 100ms}, {}};
  GroupedTable<std::string, std::string, int> sets{"sets", groups.driver(), kOptions, jitter};
  KeyedTable<int, std::string> numbers{"numbers", world.driver(), kOptions, jitter};
};

TEST(RunOnce, PassesUntilNothingIsPendingAndSumsUp) {
  OnceFixture f;
  f.world.entries = {{100, "leftover"}};
  for (int i = 0; i < 25; ++i) f.numbers.setDesired(i, "v");
  f.sets.addGroup("a", "net");
  f.sets.addItem("a", 1);
  const auto summary = f.loop.runOnce();
  EXPECT_TRUE(summary.converged);
  EXPECT_EQ(summary.passes, 3U);
  ASSERT_EQ(summary.tables.size(), 2U);
  EXPECT_EQ(summary.tables[0].changes, (OpCounts{.add = 2}));
  EXPECT_EQ(summary.tables[1].changes, (OpCounts{.add = 25, .remove = 1}));
  EXPECT_EQ(f.loop.runOnce().tables[1].changes.total(), 0U);
}

TEST(RunOnce, MendsWhatFailsForAMoment) {
  OnceFixture f;
  f.numbers.setDesired(1, "v");
  for (unsigned n = 1; n < 6; ++n) f.world.failCall(n, {Errc::Transient, 0, "busy"});
  EXPECT_TRUE(f.loop.runOnce().converged);
}

TEST(RunOnce, GivesUpOnWhatKeepsFailingAndNamesIt) {
  OnceFixture f;
  f.numbers.setDesired(1, "v");
  f.numbers.setDesired(2, "v");
  f.world.refuse[1] = {Errc::Transient, 0, "busy"};
  const auto summary = f.loop.runOnce();
  EXPECT_FALSE(summary.converged);
  EXPECT_EQ(summary.tables[1].changes, (OpCounts{.add = 1}));
  EXPECT_EQ(summary.tables[1].pending, 1U);
  EXPECT_EQ(summary.tables[1].error->error.what, "busy");
}

RC_GTEST_PROP(LoopProperties, KeepsTheOrderOfPhasesWhateverChanges, ()) {
  OnceFixture f;
  std::vector<Phase> order;
  auto driver = f.world.driver();
  driver.phaseOf = [](Op op, int key, const std::string&) {
    return op == Op::Remove ? 100 - key : key;
  };
  driver.onApplied = [&](Op op, int key, const std::string&) {
    order.push_back(op == Op::Remove ? 100 - key : key);
  };
  TableOptions options;
  KeyedTable<int, std::string> table("ordered", driver, options, f.jitter);
  Loop loop(f.clock, {}, {});
  loop.add(table);
  loop.allowRemovals();
  for (int round = *rc::gen::inRange(1, 6); round > 0; --round) {
    for (const int key : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40))) {
      if (*rc::gen::arbitrary<bool>()) {
        table.setDesired(key, std::to_string(round));
      } else {
        table.removeDesired(key);
      }
    }
    order.clear();
    loop.poke();
    loop.turn();
    RC_ASSERT(std::is_sorted(order.begin(), order.end()));
    RC_ASSERT(table.status().converged());
  }
}

}  // namespace
}  // namespace margay::reconcile
