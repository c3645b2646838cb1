#include "cmd/agent/notice_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"

namespace margay::agent {
namespace {

using controllers::Notice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NoticeLogTest : public ::testing::Test {
 protected:
  margay::testing::FakeClock clock;
  NoticeLog log;
  const Notice tier{{api::Kind::GlobalNetworkPolicy, {}, "p"}, "spec.tier", "there is no Tier t"};
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

}  // namespace
}  // namespace margay::agent
