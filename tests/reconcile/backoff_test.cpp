#include "reconcile/backoff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "reconcile/audit_schedule.h"
#include "tests/fakes/fake_clock.h"

namespace margay::reconcile {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr BackoffOptions kExact{.initial = 100ms, .cap = 1s, .jitter = 0, .grid = 1ms};

TEST(Backoff, DoublesUpToTheCap) {
  Jitter jitter(1);
  testing::FakeClock clock;
  Backoff<std::string> backoff(kExact, jitter);
  std::vector<Duration> waits;
  for (int i = 0; i < 6; ++i) {
    waits.push_back(backoff.fail("a", clock.now()) - clock.now());
    clock.advance(waits.back());
    EXPECT_THAT(backoff.takeDue(clock.now()), ElementsAre("a"));
  }
  EXPECT_THAT(waits, ElementsAre(100ms, 200ms, 400ms, 800ms, 1s, 1s));
}

TEST(Backoff, IsPerKey) {
  Jitter jitter(1);
  testing::FakeClock clock;
  Backoff<std::string> backoff(kExact, jitter);
  backoff.fail("a", clock.now());
  backoff.fail("a", clock.now());
  backoff.fail("b", clock.now());
  clock.advance(100ms);
  EXPECT_THAT(backoff.takeDue(clock.now()), ElementsAre("b"));
  EXPECT_TRUE(backoff.waiting("a"));
  EXPECT_FALSE(backoff.waiting("b"));
}

TEST(Backoff, BeginsAnewAfterSuccess) {
  Jitter jitter(1);
  testing::FakeClock clock;
  Backoff<std::string> backoff(kExact, jitter);
  for (int i = 0; i < 5; ++i) backoff.fail("a", clock.now());
  backoff.clear("a");
  EXPECT_EQ(backoff.next(), TimePoint::max());
  EXPECT_EQ(backoff.fail("a", clock.now()) - clock.now(), 100ms);
  clock.advance(1h);
  EXPECT_THAT(backoff.takeDue(clock.now()), ElementsAre("a"));
  EXPECT_THAT(backoff.takeDue(clock.now()), IsEmpty());
}

TEST(Backoff, JitterOnlyShortens) {
  Jitter jitter(42);
  for (unsigned i = 0; i < 1000; ++i) {
    const auto delay = backoffDelay({.initial = 100ms, .cap = 1s, .jitter = 0.25}, 1, jitter);
    EXPECT_LE(delay, 100ms);
    EXPECT_GE(delay, 75ms);
  }
}

TEST(Backoff, GathersRetriesOnAGrid) {
  Jitter jitter(7);
  testing::FakeClock clock;
  Backoff<int> backoff({.initial = 1s, .cap = 30s, .jitter = 0.25, .grid = 50ms}, jitter);
  std::set<TimePoint> times;
  for (int i = 0; i < 10'000; ++i) times.insert(backoff.fail(i, clock.now()));
  EXPECT_LE(times.size(), 6U);
}

class AuditScheduleTest : public ::testing::Test {
 protected:
  AuditOptions options() {
    return {.fullPeriod = 30s, .jitter = 0, .checkPeriod = 1s, .foreignInterval = 5s};
  }
  testing::FakeClock clock_;
  Jitter jitter_{1};
  AuditSchedule audit_{options(), kExact, jitter_};
};

TEST_F(AuditScheduleTest, ListsAtOnceThenEveryPeriod) {
  EXPECT_TRUE(audit_.listDue(clock_.now()));
  audit_.listed(true, clock_.now());
  EXPECT_FALSE(audit_.listDue(clock_.now()));
  EXPECT_EQ(audit_.nextDue(AuditSchedule::Checks::No), clock_.now() + 30s);
  EXPECT_EQ(audit_.nextDue(AuditSchedule::Checks::Yes), clock_.now() + 1s);
}

TEST_F(AuditScheduleTest, ListsAtOnceWhenAFingerprintDiffers) {
  audit_.expect(1);
  audit_.listed(true, clock_.now());
  clock_.advance(1s);
  audit_.checked(1, clock_.now());
  EXPECT_FALSE(audit_.listDue(clock_.now()));
  clock_.advance(1s);
  audit_.checked(2, clock_.now());
  EXPECT_TRUE(audit_.listDue(clock_.now()));
}

TEST_F(AuditScheduleTest, IsDueWhenOtherTablesAreHoweverTheyWereListed) {
  using Checks = AuditSchedule::Checks;
  AuditSchedule other(options(), kExact, jitter_);
  other.listed(true, clock_.now());
  clock_.advance(640ms);
  audit_.listed(true, clock_.now());
  EXPECT_EQ(audit_.nextDue(Checks::Yes), other.nextDue(Checks::Yes));
  EXPECT_EQ(audit_.nextDue(Checks::No), other.nextDue(Checks::No));
  clock_.advance(359ms);
  EXPECT_FALSE(audit_.checkDue(clock_.now()));
  clock_.advance(5ms);
  EXPECT_TRUE(audit_.checkDue(clock_.now()));
  audit_.expect(1);
  audit_.checked(1, clock_.now());
  other.checkAgain(clock_.now());
  EXPECT_EQ(audit_.nextDue(Checks::Yes), clock_.now() + 996ms);
  EXPECT_EQ(other.nextDue(Checks::Yes), clock_.now() + 996ms);
}

TEST_F(AuditScheduleTest, ListsWithinAPeriodThatIsShorterThanThatOfChecks) {
  auto often = options();
  often.fullPeriod = 300ms;
  AuditSchedule audit(often, kExact, jitter_);
  audit.listed(true, clock_.now());
  EXPECT_EQ(audit.nextDue(AuditSchedule::Checks::No), clock_.now() + 300ms);
}

TEST_F(AuditScheduleTest, ListsSeldomWhereOthersKeepChangingTheTable) {
  audit_.expect(1);
  audit_.listed(true, clock_.now());
  audit_.checked(2, clock_.now());
  audit_.expect(2);
  audit_.listed(true, clock_.now());
  clock_.advance(1s);
  audit_.checked(3, clock_.now());
  EXPECT_FALSE(audit_.listDue(clock_.now()));
  EXPECT_EQ(audit_.nextDue(AuditSchedule::Checks::No), clock_.now() + 4s);
}

TEST_F(AuditScheduleTest, ListsAtOnceAgainWhereOursWasDamaged) {
  audit_.expect(1);
  audit_.listed(true, clock_.now());
  audit_.checked(2, clock_.now());
  audit_.listed(false, clock_.now());
  clock_.advance(1s);
  audit_.checked(3, clock_.now());
  EXPECT_TRUE(audit_.listDue(clock_.now()));
}

TEST_F(AuditScheduleTest, BacksOffAfterFailedListsWhateverIsAskedFor) {
  audit_.listFailed(clock_.now());
  audit_.request();
  audit_.suspect(clock_.now());
  EXPECT_FALSE(audit_.listDue(clock_.now()));
  EXPECT_EQ(audit_.nextDue(AuditSchedule::Checks::No), clock_.now() + 100ms);
}

}  // namespace
}  // namespace margay::reconcile
