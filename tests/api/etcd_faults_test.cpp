#include <gmock/gmock.h>

#include "tests/api/etcd_following.h"
#include "tests/api/relay.h"

/// What goes wrong with etcd in a datacentre, with the times that users have: noticed within 15 s,
/// everything there within 5 s of the return, nothing lost and nothing emptied in between.
namespace margay::api {
namespace {

using std::chrono::seconds;
using test::EtcdServer;
using test::Following;
using test::post;
using test::profile;
using Clock = std::chrono::steady_clock;

constexpr seconds kNoticed{15};
constexpr seconds kThere{5};

EtcdOptions at(const std::string& url) {
  EtcdOptions options;
  options.endpoints = {url};
  return options;
}

TEST(EtcdFaults, AConnectionThatHasGoneDeafIsNoticedInTime) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  test::Relay relay(std::stoi(server->url().substr(server->url().rfind(':') + 1)));
  Following etcd(at(relay.url()), {});
  auto writer = test::clientOf(at(server->url()));
  ASSERT_TRUE(writer->write({}, {profile("before")}));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilHas("Profile before"));
  relay.goDeaf();
  ASSERT_TRUE(writer->write({}, {profile("unheard")}));
  EXPECT_TRUE(etcd.reader.untilHas("Profile unheard", kNoticed));
  EXPECT_TRUE(etcd.reader.has("Profile before"));
}

/// Half a minute: the longest of these.
TEST(EtcdFaults, AServerThatHangsForHalfAMinuteEmptiesNothing) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(at(server->url()), {});
  for (const char* name : {"a", "b", "c"}) etcd.write(profile(name));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilHas("Profile c"));
  etcd.reader.forget();
  const auto thaws = Clock::now() + seconds(30);
  server->freeze();
  EXPECT_TRUE(etcd.reader.untilConnected(false, kNoticed));
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(thaws - Clock::now());
  EXPECT_FALSE(etcd.reader.until([&] { return etcd.reader.updates() > 0; }, left));
  EXPECT_TRUE(etcd.reader.state().synced);
  server->thaw();
  etcd.write(profile("d"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile d", kThere));
  EXPECT_TRUE(etcd.reader.untilConnected(true, kThere));
  EXPECT_EQ(etcd.reader.updates(), 1U);
}

TEST(EtcdFaults, AServerWithoutSpaceIsReadOnAndFollowedWhenItHasSome) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  server->kill();
  server->setQuota(2U << 20U);
  server->start();
  Following etcd(at(server->url()), {});
  etcd.write(profile("before"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilHas("Profile before"));
  etcd.reader.forget();
  const EtcdWrite filler{.key = "/filler", .value = std::string(200'000, 'x')};
  Result<std::int64_t> written = 0;
  std::int64_t last = 0;
  for (int i = 0; i < 100 && written; ++i) {
    written = etcd.writer->write({}, {filler});
    if (written) last = *written;
  }
  ASSERT_FALSE(written) << "the quota has not stopped anybody";
  EXPECT_EQ(written.error().code, Errc::Transient);
  EXPECT_THAT(written.error().what, ::testing::HasSubstr("space"));
  EXPECT_FALSE(etcd.writer->write({}, {profile("refused")}));
  etcd.source.relist(1);
  EXPECT_TRUE(etcd.reader.until([&] { return etcd.reader.barriers().size() == 1; }, kNoticed));
  EXPECT_EQ(etcd.reader.updates(), 0U);
  EXPECT_TRUE(etcd.reader.state().connected) << "it can be read";

  post(server->url(), "/v3/kv/compaction", R"({"revision":")" + std::to_string(last) + R"("})");
  post(server->url(), "/v3/maintenance/defragment", "{}");
  post(server->url(), "/v3/maintenance/alarm", R"({"action":"DEACTIVATE","alarm":"NOSPACE"})");
  etcd.write(profile("after"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile after", kThere));
  EXPECT_TRUE(etcd.reader.has("Profile before"));
  EXPECT_EQ(etcd.reader.updates(), 1U);
}

}  // namespace
}  // namespace margay::api
