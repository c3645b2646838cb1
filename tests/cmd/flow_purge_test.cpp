#include "cmd/agent/flow_purge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <limits>
#include <mutex>

#include "cmd/agent/phases.h"
#include "tests/fakes/fake_clock.h"

namespace margay::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address ip(std::string_view text) {
  return *Address::parse(text);
}

/// A host with so many flows that each purge lasts until it is released.
class SlowConntrack final : public dataplane::ConntrackDriver {
 public:
  Result<std::size_t> deleteFlows(std::span<const Address> addresses) override {
    asked_.emplace_back(addresses.begin(), addresses.end());
    begun_.set_value();
    return results_.get_future().get();
  }
  /// Ends the purge under way, or the next one.
  void end(Result<std::size_t> result) { results_.set_value(std::move(result)); }
  void waitUntilBegun() { begun_.get_future().wait(); }
  void again() {
    begun_ = {};
    results_ = {};
  }
  [[nodiscard]] const std::vector<std::vector<Address>>& asked() const { return asked_; }

 private:
  std::promise<void> begun_;
  std::promise<Result<std::size_t>> results_;
  std::vector<std::vector<Address>> asked_;
};

class FlowPurgeTest : public ::testing::Test {
 protected:
  reconcile::Progress pass() {
    EXPECT_TRUE(purge.refresh(clock.now(), reconcile::Checks::Now).has_value());
    const auto phase =
        purge.nextPhase(std::numeric_limits<reconcile::Phase>::min(), reconcile::Removals::Allowed);
    return phase ? purge.apply(*phase, reconcile::Removals::Allowed, clock.now())
                 : reconcile::Progress{};
  }
  void waitForEnd() {
    pollfd entry{purge.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1) << "nobody was told of the end";
    purge.readEnded();
  }

  margay::testing::FakeClock clock;
  reconcile::Jitter jitter{1};
  SlowConntrack driver;
  FlowPurge purge{driver, jitter, FlowPurge::Thread::Own};
};

TEST_F(FlowPurgeTest, APassDoesNotWaitForTheFlowsOfWhoLeft) {
  purge.left(ip("10.0.0.1"));
  EXPECT_EQ(pass().changed, 0U);
  driver.waitUntilBegun();
  EXPECT_EQ(purge.status().pending, 1U);
  EXPECT_TRUE(purge.purging(ip("10.0.0.1")));
  EXPECT_EQ(pass().changed, 0U) << "one batch at a time";

  driver.end(7);
  waitForEnd();
  pass();
  EXPECT_EQ(purge.status().pending, 0U);
  EXPECT_EQ(purge.status().changes.remove, 7U);
  EXPECT_FALSE(purge.purging(ip("10.0.0.1")));
  EXPECT_THAT(driver.asked(), ElementsAre(ElementsAre(ip("10.0.0.1"))));
}

TEST_F(FlowPurgeTest, WhoLeavesMeanwhileIsOfTheNextBatch) {
  purge.left(ip("10.0.0.1"));
  pass();
  driver.waitUntilBegun();
  purge.left(ip("10.0.0.2"));
  purge.left(ip("10.0.0.3"));
  driver.end(0);
  waitForEnd();
  driver.again();
  pass();
  driver.end(0);
  waitForEnd();
  pass();
  EXPECT_THAT(driver.asked(), ElementsAre(ElementsAre(ip("10.0.0.1")),
                                          ElementsAre(ip("10.0.0.2"), ip("10.0.0.3"))));
  EXPECT_EQ(purge.status().pending, 0U);
}

TEST_F(FlowPurgeTest, WhoArrivesIsPurgedWithinThePassAndNotBesideWhatRuns) {
  purge.left(ip("10.0.0.1"));
  pass();
  driver.waitUntilBegun();
  driver.end(2);
  waitForEnd();
  driver.again();
  purge.arriving(ip("10.0.0.1"));
  driver.end(3);
  EXPECT_EQ(pass().changed, 3U);
  EXPECT_FALSE(purge.purging(ip("10.0.0.1")));
  EXPECT_EQ(purge.status().changes.remove, 5U);
}

TEST_F(FlowPurgeTest, WhatFailedIsTriedAgainAfterAWait) {
  purge.left(ip("10.0.0.1"));
  pass();
  driver.end(fail(Errc::Transient, "no memory"));
  waitForEnd();
  driver.again();
  pass();
  EXPECT_EQ(purge.status().failing, 1U);
  EXPECT_EQ(purge.status().errors, 1U);
  EXPECT_GT(purge.nextDue(), clock.now());

  clock.advanceTo(purge.nextDue());
  pass();
  driver.end(1);
  waitForEnd();
  pass();
  EXPECT_EQ(purge.status().pending, 0U);
  EXPECT_THAT(driver.asked(),
              ElementsAre(ElementsAre(ip("10.0.0.1")), ElementsAre(ip("10.0.0.1"))));
}

TEST_F(FlowPurgeTest, OnTheLoopsThreadThePassPurges) {
  FlowPurge own(driver, jitter, FlowPurge::Thread::Loop);
  own.left(ip("10.0.0.1"));
  driver.end(4);
  ASSERT_TRUE(own.refresh(clock.now(), reconcile::Checks::Now).has_value());
  EXPECT_EQ(own.apply(kPurge, reconcile::Removals::Allowed, clock.now()).changed, 4U);
  EXPECT_EQ(own.status().pending, 0U);
}

TEST_F(FlowPurgeTest, TheEndWaitsForWhatRuns) {
  {
    FlowPurge ending(driver, jitter, FlowPurge::Thread::Own);
    ending.left(ip("10.0.0.1"));
    ASSERT_TRUE(ending.refresh(clock.now(), reconcile::Checks::Now).has_value());
    ending.apply(kPurge, reconcile::Removals::Allowed, clock.now());
    driver.end(0);
  }
  EXPECT_THAT(driver.asked(), ElementsAre(ElementsAre(ip("10.0.0.1"))));
}

TEST_F(FlowPurgeTest, ReturningAreThoseWhoMaySendAgainBeforeTheirFlowsAreGone) {
  purge.left(ip("10.0.0.1"));
  controllers::DesiredChange change;
  const auto member = [](std::string_view address) {
    dataplane::SetMember out;
    out.net = *Prefix::parseNetwork(address);
    return out;
  };
  change.members["mgy4-local"].added = {member("10.0.0.1/32"), member("10.0.0.2/32")};
  change.members["mgy4-s-0123"].added = {member("10.0.0.1/32")};
  EXPECT_THAT(returning(change, purge), ElementsAre(ip("10.0.0.1")));
  EXPECT_THAT(returning({}, purge), IsEmpty());
}

}  // namespace
}  // namespace margay::agent
