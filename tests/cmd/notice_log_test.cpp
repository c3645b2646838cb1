#include "cmd/agent/notice_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"

namespace margay::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NoticeLogTest : public ::testing::Test {
 protected:
  margay::testing::FakeClock clock;
  std::vector<std::set<api::ObjectKey>> asked;
  NoticeLog log{[this](const auto& keys) { asked.push_back(keys); }};
  const api::ObjectKey policy{api::Kind::GlobalNetworkPolicy, {}, "p"};
  const Remark tier{policy, policy, Remark::Cause::Reference, "spec.tier", "there is no Tier t"};
};

TEST_F(NoticeLogTest, SaysNothingOfWhatIsOnlyLate) {
  EXPECT_THAT(log.take({tier}, clock.now()).lasting, IsEmpty());
  clock.advance(NoticeLog::kLasts / 2);
  const auto lines = log.take({}, clock.now());
  EXPECT_THAT(lines.lasting, IsEmpty());
  EXPECT_THAT(lines.over, IsEmpty());
}

TEST_F(NoticeLogTest, SaysOnceWhatLastsAndOnceThatItIsOver) {
  (void)log.take({tier}, clock.now());
  clock.advance(NoticeLog::kLasts);
  EXPECT_THAT(log.take({tier}, clock.now()).lasting, ElementsAre(tier));
  auto reworded = tier;
  reworded.reason += "!";
  clock.advance(NoticeLog::kLasts);
  EXPECT_THAT(log.take({reworded}, clock.now()).lasting, IsEmpty());
  EXPECT_THAT(log.take({}, clock.now()).over, ElementsAre(reworded));
  EXPECT_THAT(log.take({}, clock.now()).over, IsEmpty());
}

TEST_F(NoticeLogTest, SaysEachOfTwoThingsAboutOneField) {
  const api::ObjectKey pod{api::Kind::WorkloadEndpoint, "default", "n1-k8s-a-eth0"};
  const Remark one{pod, pod, Remark::Cause::Reference, "spec.ipNetworks", "10.1.0.1"};
  const Remark two{pod, pod, Remark::Cause::Reference, "spec.ipNetworks", "10.1.0.2"};
  (void)log.take({one, two}, clock.now());
  clock.advance(NoticeLog::kLasts);
  EXPECT_THAT(log.take({one, two}, clock.now()).lasting, ElementsAre(one, two));
}

TEST_F(NoticeLogTest, AsksWhereTheObjectsAreWheneverTheseAreOthers) {
  controllers::NodeController controller("n1", {});
  api::Policy lost;
  lost.name = "p";
  lost.tier = "t";
  controller.update({policy, share(lost)});
  log.report(controller, {}, clock.now());
  EXPECT_THAT(log.newest(), ElementsAre(::testing::Field(&Remark::written, policy)));
  EXPECT_THAT(asked, ElementsAre(std::set{policy}));
  clock.advance(std::chrono::seconds(1));
  log.report(controller, {}, clock.now());
  EXPECT_THAT(asked, SizeIs(1));
  controller.update({policy, std::nullopt});
  clock.advance(std::chrono::seconds(1));
  log.report(controller, {}, clock.now());
  EXPECT_THAT(asked, ElementsAre(std::set{policy}, IsEmpty()));
}

}  // namespace
}  // namespace margay::agent
