#include <gmock/gmock.h>

#include <optional>

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
using test::without;
using Clock = std::chrono::steady_clock;

constexpr seconds kNoticed{15};
constexpr seconds kThere{5};

EtcdOptions at(const std::string& url) {
  EtcdOptions options;
  options.endpoints = {url};
  return options;
}

void compact(const std::string& url, std::int64_t revision) {
  post(url, "/v3/kv/compaction",
       R"({"physical":true,"revision":")" + std::to_string(revision) + R"("})");
}

/// A source that reaches its server over a connection that a test can spoil, and has listed.
class EtcdFaultsOfConnections : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = EtcdServer::alone();
    NEEDS_ETCD(server_);
    relay_.emplace(std::stoi(server_->url().substr(server_->url().rfind(':') + 1)));
    straight_ = test::clientOf(at(server_->url()));
    etcd_.emplace(at(relay_->url()), EtcdSourceOptions());
    for (const char* name : {"stays", "goes"}) write(profile(name));
    etcd_->source.start();
    ASSERT_TRUE(reader().untilSynced());
    reader().forget();
  }
  test::Relay& relay() { return *relay_; }
  test::MailReader& reader() { return etcd_->reader; }
  /// Past the relay; the revision.
  std::int64_t write(const EtcdWrite& what) {
    const auto written = straight_->write({}, {what});
    EXPECT_TRUE(written) << written.error().what;
    return written.value_or(0);
  }
  const std::string& url() const { return server_->url(); }

 private:
  std::unique_ptr<EtcdServer> server_;
  std::optional<test::Relay> relay_;
  std::unique_ptr<EtcdClient> straight_;
  std::optional<Following> etcd_;
};

TEST_F(EtcdFaultsOfConnections, OneThatHasGoneDeafIsNoticedInTime) {
  relay().goDeaf();
  write(profile("unheard"));
  EXPECT_TRUE(reader().untilHas("Profile unheard", kNoticed));
  EXPECT_EQ(reader().updates(), 1U);
  EXPECT_EQ(reader().state().resyncs, 1U);
}

TEST_F(EtcdFaultsOfConnections, OneThatIsCutIsMadeAnewAtOnce) {
  relay().cut();
  write(profile("meanwhile"));
  EXPECT_TRUE(reader().untilHas("Profile meanwhile", kThere));
  EXPECT_EQ(reader().updates(), 1U);
  EXPECT_EQ(reader().state().resyncs, 1U);
  EXPECT_FALSE(reader().everDisconnected()) << "the server was there all the time";
}

TEST_F(EtcdFaultsOfConnections, WhatIsCompactedBeforeItIsHeardIsListed) {
  relay().goDeaf();
  write(without("goes"));
  compact(url(), write(profile("comes")));
  EXPECT_TRUE(reader().untilGone("Profile goes", kNoticed + kThere));
  EXPECT_TRUE(reader().untilHas("Profile comes", kThere));
  EXPECT_EQ(reader().updates(), 2U) << "what stayed is not told again";
  EXPECT_EQ(reader().state().resyncs, 2U);
}

TEST(EtcdFaults, AServerThatComesBackAfterAWhileIsFollowedAtOnce) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(at(server->url()), {});
  etcd.write(profile("before"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.reader.forget();
  server->kill();
  EXPECT_TRUE(etcd.reader.untilConnected(false, kNoticed));
  // Until the pauses between attempts are as long as they get.
  EXPECT_FALSE(etcd.reader.until([&] { return etcd.reader.updates() > 0; }, seconds(8)));
  EXPECT_TRUE(etcd.reader.state().synced);
  server->start();
  EXPECT_TRUE(etcd.reader.untilConnected(true, kThere));
  etcd.write(profile("after"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile after", kThere));
  EXPECT_EQ(etcd.reader.updates(), 1U);
}

TEST(EtcdFaults, TheLeaderOfThreeIsKilledAndNothingIsLost) {
  auto members = EtcdServer::cluster(3);
  NEEDS_ETCD(!members.empty());
  putLeaderFirst(members);
  EtcdOptions options;
  options.endpoints = test::urlsOf(members);
  Following etcd(options, {});  // at the leader
  etcd.write(profile("before"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.reader.forget();
  members.front()->kill();
  etcd.write(profile("after"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile after", kThere));
  members.front()->start();
  etcd.write(profile("later"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile later", kThere));
  EXPECT_EQ(etcd.reader.updates(), 2U);
  EXPECT_EQ(etcd.reader.state().resyncs, 1U);
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

  compact(server->url(), last);
  post(server->url(), "/v3/maintenance/defragment", "{}");
  post(server->url(), "/v3/maintenance/alarm",
       R"({"action":"DEACTIVATE","alarm":"NOSPACE","memberID":")" + server->member() + R"("})");
  etcd.write(profile("after"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile after", kThere));
  EXPECT_TRUE(etcd.reader.has("Profile before"));
  EXPECT_EQ(etcd.reader.updates(), 1U);
}

}  // namespace
}  // namespace margay::api
