#include "api/etcd/etcd_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/api/etcd_following.h"
#include "tests/api/raw_server.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::EtcdServer;
using test::Following;
using test::post;
using test::profile;
using test::quickOptions;
using test::quickSource;
using test::without;
using ::testing::HasSubstr;

void compact(const std::string& url, std::int64_t revision) {
  post(url, "/v3/kv/compaction", R"({"revision":")" + std::to_string(revision) + R"("})");
}

TEST(EtcdSource, ListsAndThenFollows) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("a"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  EXPECT_TRUE(etcd.reader.has("Profile a"));
  etcd.write(profile("b"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile b"));
  etcd.write(without("a"));
  EXPECT_TRUE(etcd.reader.untilGone("Profile a"));
  EXPECT_EQ(etcd.reader.state().resyncs, 1U);
}

TEST(EtcdSource, ReadsMoreThanAPageAtOneRevision) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  for (int batch = 0; batch < 25; ++batch) {
    std::vector<EtcdWrite> writes;
    for (int i = 0; i < 100; ++i) writes.push_back(profile("p" + std::to_string(batch * 100 + i)));
    ASSERT_TRUE(etcd.writer->write({}, writes));
  }
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  EXPECT_EQ(etcd.reader.size(), 2500U);
}

TEST(EtcdSource, NamesValuesThatCannotBeUsedAndTakesTheRest) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("good"));
  etcd.write({.key = profile("bad").key, .value = "not json"});
  auto elsewhere = profile("good");
  elsewhere.key = storedKeyOf(*storedKindNamed("Tier"), "", "good");
  etcd.write(elsewhere);
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  EXPECT_EQ(etcd.reader.size(), 1U);
  ASSERT_EQ(etcd.reader.state().invalid.size(), 2U);
  EXPECT_EQ(etcd.reader.state().invalid[0].name, "bad");
  EXPECT_EQ(etcd.reader.state().invalid[1].kindName, "Tier");
  etcd.write(profile("bad"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile bad"));
  EXPECT_EQ(etcd.reader.state().invalid.size(), 1U);
}

TEST(EtcdSource, AnswersABarrierWithWhatWasWrittenBefore) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.write(profile("a"));
  etcd.source.relist(7);
  ASSERT_TRUE(etcd.reader.until([&] { return !etcd.reader.barriers().empty(); }));
  EXPECT_TRUE(etcd.reader.has("Profile a"));
  EXPECT_FALSE(etcd.reader.everDisconnected() && etcd.reader.state().resyncs > 2);
}

TEST(EtcdSource, WaitsForAServerThatIsNotThereYet) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("a"));
  server->kill();
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.until([&] { return !etcd.reader.state().error.empty(); }));
  EXPECT_FALSE(etcd.reader.state().synced);
  EXPECT_THAT(etcd.reader.state().error, HasSubstr(server->url()));
  server->start();
  EXPECT_TRUE(etcd.reader.untilHas("Profile a", seconds(5)));
}

TEST(EtcdSource, TriesLessAndLessOften) {
  std::atomic<int> requests{0};
  test::RawServer server([&](test::RawServer&, int socket) {
    while (!test::RawServer::readRequest(socket).empty()) {
      ++requests;
      test::RawServer::say(socket, "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n");
    }
  });
  EtcdSourceOptions times;
  times.firstRetry = milliseconds(50);
  times.lastRetry = milliseconds(800);
  Following etcd(quickOptions({server.url()}), times);
  etcd.source.start();
  // Between pauses of 50, 100, 200, 400, 800 and 800 ms, or half of that, are two requests.
  EXPECT_FALSE(etcd.reader.until([&] { return requests > 2 * 9; }, milliseconds(2400)));
  EXPECT_GE(requests, 2 * 5);
}

TEST(EtcdSource, KeepsEverythingWhileTheServerIsKilledAndFollowsItsReturn) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("a"));
  etcd.write(profile("b"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.reader.forget();
  server->kill();
  ASSERT_TRUE(etcd.reader.untilConnected(false));
  EXPECT_TRUE(etcd.reader.state().synced);
  server->start();
  etcd.write(profile("c"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile c", seconds(5)));
  EXPECT_TRUE(etcd.reader.state().connected);
  EXPECT_EQ(etcd.reader.updates(), 1U);
}

TEST(EtcdSource, ListsAgainWhenAnotherClusterAnswers) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  const auto changed = [](const char* name, const char* action) {
    auto write = profile(name);
    write.value->replace(write.value->find("Allow"), 5, action);
    return write;
  };
  etcd.write(changed("same", "Allow"));
  etcd.write(profile("goes"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.reader.forget();
  etcd.source.stop();
  server->becomeAnother();
  etcd.write(changed("same", "Deny"));  // the same key at the same revision
  for (const char* name : {"b", "c", "d"}) etcd.write(profile(name));
  etcd.source.start();
  EXPECT_TRUE(etcd.reader.untilHas("Profile d", seconds(5)));
  EXPECT_TRUE(etcd.reader.untilGone("Profile goes", seconds(5)));
  EXPECT_EQ(etcd.reader.updates(), 5U);
}

TEST(EtcdSource, ListsAgainWhenWhatItMissedIsCompacted) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("stays"));
  etcd.write(profile("goes"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  etcd.reader.forget();
  // What is written before it reads again is compacted at once.
  server->kill();
  ASSERT_TRUE(etcd.reader.untilConnected(false));
  etcd.source.stop();
  server->start();
  etcd.write(without("goes"));
  etcd.write(profile("comes"));
  etcd.write(profile("filler"));
  compact(server->url(), *etcd.writer->currentRevision({}));
  etcd.source.start();
  EXPECT_TRUE(etcd.reader.untilHas("Profile comes", seconds(5)));
  EXPECT_TRUE(etcd.reader.untilGone("Profile goes", seconds(5)));
  EXPECT_TRUE(etcd.reader.has("Profile stays"));
}

TEST(EtcdSource, FollowsThroughACompactionWhileItWatches) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  for (int i = 0; i < 5; ++i) {
    const auto name = "p" + std::to_string(i);
    etcd.write(profile(name));
    ASSERT_TRUE(etcd.reader.untilHas("Profile " + name));
    compact(server->url(), *etcd.writer->currentRevision({}));
  }
  EXPECT_EQ(etcd.reader.size(), 5U);
  EXPECT_EQ(etcd.reader.state().resyncs, 1U);
}

TEST(EtcdSource, NoticesAServerThatHangsAndFollowsItsReturn) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  Following etcd(quickOptions({server->url()}));
  etcd.write(profile("a"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  server->freeze();
  EXPECT_TRUE(etcd.reader.untilConnected(false, seconds(15)));
  EXPECT_TRUE(etcd.reader.has("Profile a"));
  server->thaw();
  etcd.write(profile("b"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile b", seconds(5)));
}

TEST(EtcdSource, GoesOnAtAnotherMemberWhenTheLeaderIsKilled) {
  auto members = EtcdServer::cluster(3);
  NEEDS_ETCD(!members.empty());
  Following etcd(quickOptions(test::urlsOf(members)));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  // Whoever leads, each is killed once.
  for (std::size_t i = 0; i < members.size(); ++i) {
    members[i]->kill();
    etcd.write(profile("p" + std::to_string(i)));
    EXPECT_TRUE(etcd.reader.untilHas("Profile p" + std::to_string(i), seconds(10))) << i;
    members[i]->start();
  }
  EXPECT_EQ(etcd.reader.size(), 3U);
}

TEST(EtcdSource, LeavesAMemberThatHangs) {
  auto members = EtcdServer::cluster(3);
  NEEDS_ETCD(!members.empty());
  Following etcd(quickOptions(test::urlsOf(members)));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  members[0]->freeze();  // the one in use
  Following others(quickOptions({members[1]->url(), members[2]->url()}));
  others.write(profile("a"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile a", seconds(15)));
  members[0]->thaw();
}

TEST(EtcdSource, LeavesAMemberThatHasLostTheOthers) {
  auto members = EtcdServer::cluster(3);
  NEEDS_ETCD(!members.empty());
  Following etcd(quickOptions(test::urlsOf(members)));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilSynced());
  members[1]->kill();
  members[2]->kill();
  EXPECT_TRUE(etcd.reader.untilConnected(false, seconds(15)));
  members[1]->start();
  members[2]->start();
  etcd.write(profile("a"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile a", seconds(10)));
}

}  // namespace
}  // namespace margay::api
