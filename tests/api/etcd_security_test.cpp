#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/api/etcd_following.h"

namespace margay::api {
namespace {

using std::chrono::seconds;
using test::Certificates;
using test::EtcdServer;
using test::post;
using test::quickOptions;
using ::testing::AllOf;
using ::testing::HasSubstr;

Result<std::int64_t> revisionWith(const EtcdOptions& options) {
  return EtcdClient(options).currentRevision({});
}

/// Root with the password "right"; a user "reader" who may only read /calico/.
void switchOnUsers(const std::string& url, const TlsOptions& tls = {}) {
  const auto call = [&](const char* what, const std::string& body) {
    post(url, std::string("/v3/auth/") + what, body, tls);
  };
  call("role/add", R"({"name":"root"})");
  call("role/add", R"({"name":"readers"})");
  call(
      "role/grant",
      R"({"name":"readers","perm":{"permType":"READ","key":"L2NhbGljby8=","range_end":"L2NhbGljbzA="}})");
  for (const std::string user : {"root", "reader"})
    call("user/add", R"({"name":")" + user + R"(","password":"right"})");
  call("user/grant", R"({"user":"root","role":"root"})");
  call("user/grant", R"({"user":"reader","role":"readers"})");
  call("enable", "{}");
}

EtcdOptions optionsOf(const std::string& url, const std::string& user,
                      const std::string& password) {
  auto options = quickOptions({url});
  options.username = user;
  options.password = password;
  return options;
}

TEST(EtcdTls, ReadsWithAClientCertificate) {
  const Certificates certificates;
  auto server = EtcdServer::alone(test::Tls::On, certificates.directory());
  NEEDS_ETCD(server);
  auto options = quickOptions({server->url()});
  options.tls = certificates.tls();
  const auto revision = revisionWith(options);
  EXPECT_TRUE(revision) << revision.error().what;
}

TEST(EtcdTls, NamesTheFileThatMakesTheHandshakeFail) {
  const Certificates certificates;
  auto server = EtcdServer::alone(test::Tls::On, certificates.directory());
  NEEDS_ETCD(server);
  const auto failureWith = [&](const TlsOptions& tls) {
    auto options = quickOptions({server->url()});
    options.tls = tls;
    const auto revision = revisionWith(options);
    EXPECT_FALSE(revision);
    EXPECT_EQ(revision.error().what.find('\n'), std::string::npos);
    return revision.error().what;
  };
  auto wrongCa = certificates.tls();
  wrongCa.ca.file = certificates.directory() + "/other-ca.pem";
  EXPECT_THAT(failureWith(wrongCa), AllOf(HasSubstr("not accepted"), HasSubstr(wrongCa.ca.file)));

  auto stranger = certificates.tls();
  stranger.certificate.file = certificates.directory() + "/stranger.pem";
  stranger.key.file = certificates.directory() + "/stranger.key";
  EXPECT_THAT(failureWith(stranger), HasSubstr(stranger.certificate.file));

  auto nobody = certificates.tls();
  nobody.certificate = nobody.key = {};
  EXPECT_THAT(failureWith(nobody), HasSubstr("client certificate"));

  auto otherKey = certificates.tls();
  otherKey.key.file = certificates.directory() + "/server.key";
  EXPECT_THAT(failureWith(otherKey), HasSubstr(otherKey.key.file));
}

TEST(EtcdUsers, NameTheUserWhosePasswordIsWrong) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  switchOnUsers(server->url());
  EXPECT_TRUE(revisionWith(optionsOf(server->url(), "root", "right")));
  const auto wrong = revisionWith(optionsOf(server->url(), "root", "wrong"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::Invalid);
  EXPECT_THAT(wrong.error().what, HasSubstr("'root'"));
  EXPECT_THAT(wrong.error().what, ::testing::Not(HasSubstr("wrong")));
  const auto none = revisionWith(quickOptions({server->url()}));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().what, HasSubstr("ETCD_USERNAME"));
}

TEST(EtcdUsers, NameTheUserWhoMayNot) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  switchOnUsers(server->url());
  EtcdClient client(optionsOf(server->url(), "reader", "right"));
  EXPECT_TRUE(client.get("/calico/a"));
  const auto written = client.write({}, {{.key = "/calico/a", .value = "1"}});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::Invalid);
  EXPECT_THAT(written.error().what, HasSubstr("'reader'"));
}

TEST(EtcdUsers, GetANewTokenWhenTheOldOneIsGone) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  switchOnUsers(server->url());
  EtcdClient client(optionsOf(server->url(), "root", "right"));
  ASSERT_TRUE(client.write({}, {{.key = "/calico/a", .value = "1"}}));
  server->kill();
  server->start();
  // The server has forgotten its tokens.
  const auto got = client.get("/calico/a");
  ASSERT_TRUE(got) << got.error().what;
  EXPECT_EQ((*got)->value, "1");
}

TEST(EtcdUsers, OverTlsAreFollowedThroughTheDeathOfTheLeaderOfThree) {
  const Certificates certificates;
  auto members = EtcdServer::cluster(3, test::Tls::On, certificates.directory());
  NEEDS_ETCD(!members.empty());
  putLeaderFirst(members);  // later only users are told who leads
  switchOnUsers(members.front()->url(), certificates.tls());
  auto options = optionsOf({}, "root", "right");
  options.endpoints = test::urlsOf(members);
  options.tls = certificates.tls();
  test::Following etcd(options);  // at the leader
  etcd.write(test::profile("before"));
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.untilHas("Profile before"));
  etcd.reader.forget();
  members.front()->kill();
  etcd.write(test::profile("after"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile after", seconds(5)));
  members.front()->start();
  etcd.write(test::profile("later"));
  EXPECT_TRUE(etcd.reader.untilHas("Profile later", seconds(5)));
  EXPECT_EQ(etcd.reader.updates(), 2U);
  EXPECT_EQ(etcd.reader.state().resyncs, 1U) << "it goes on where it was";
}

TEST(EtcdUsers, OverTlsTakeNoCertificateThatCouldBeAUsers) {
  const Certificates certificates;
  auto server = EtcdServer::alone(test::Tls::On, certificates.directory());
  NEEDS_ETCD(server);
  switchOnUsers(server->url(), certificates.tls());
  auto options = optionsOf(server->url(), "root", "right");
  options.tls = certificates.tls();
  EXPECT_TRUE(revisionWith(options));
  options.tls.certificate.file = certificates.directory() + "/named.pem";
  options.tls.key.file = certificates.directory() + "/named.key";
  const auto refused = revisionWith(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Invalid);
  EXPECT_THAT(refused.error().what,
              AllOf(HasSubstr("CommonName"), HasSubstr(options.tls.certificate.file)));
}

/// As files are put into place after the start.
TEST(EtcdTls, ASourceIsThereOnceItsFilesAre) {
  const Certificates certificates;
  auto server = EtcdServer::alone(test::Tls::On, certificates.directory());
  NEEDS_ETCD(server);
  auto options = quickOptions({server->url()});
  options.tls = certificates.tls();
  const auto key = options.tls.key.file;
  std::filesystem::rename(key, key + ".away");
  test::Following etcd(options);
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.until([&] { return !etcd.reader.state().error.empty(); }));
  EXPECT_THAT(etcd.reader.state().error, AllOf(HasSubstr(key), HasSubstr("may this user read it")));
  std::filesystem::rename(key + ".away", key);
  EXPECT_TRUE(etcd.reader.untilSynced());
}

TEST(EtcdClient, WritesOnlyOverTheRevisionThatItExpects) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  EtcdClient client(quickOptions({server->url()}));
  const EtcdCondition isNew{.key = "/calico/a"};
  const auto first = client.write({isNew}, {{.key = "/calico/a", .value = "1"}});
  ASSERT_TRUE(first);
  EXPECT_EQ(client.write({isNew}, {{.key = "/calico/a", .value = "2"}}).error().code, Errc::Stale);
  ASSERT_TRUE(client.write({{.key = "/calico/a", .modRevision = *first}},
                           {{.key = "/calico/a", .value = "3"},
                            {.key = "/calico/b", .value = std::string("\0\xFF", 2)}}));
  EXPECT_EQ((*client.get("/calico/a"))->value, "3");
  EXPECT_EQ((*client.get("/calico/b"))->value, std::string("\0\xFF", 2));
  ASSERT_TRUE(client.write({}, {{.key = "/calico/a", .value = std::nullopt}}));
  EXPECT_FALSE(*client.get("/calico/a"));
}

TEST(EtcdClient, ListsEveryPageAtTheRevisionOfTheFirst) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  EtcdClient client(quickOptions({server->url()}));
  const auto key = [](int i) { return "/calico/" + std::to_string(10'000 + i); };
  std::int64_t before = 0;
  for (int batch = 0; batch < 11; ++batch) {
    std::vector<EtcdWrite> writes;
    for (int i = 0; i < 100; ++i) writes.push_back({.key = key(batch * 100 + i), .value = "old"});
    before = *client.write({}, writes);
  }
  EtcdClient other(quickOptions({server->url()}));
  std::vector<std::string> values;
  const auto listed =
      client.list("/calico/",
                  [&](EtcdKeyValue& kv) {
                    values.push_back(kv.value);
                    if (values.size() != 1) return;
                    // Both are of the second page.
                    ASSERT_TRUE(other.write({}, {{.key = key(1050), .value = "new"}}));
                    ASSERT_TRUE(other.write({}, {{.key = key(1150), .value = "new"}}));
                  },
                  {});
  ASSERT_TRUE(listed) << listed.error().what;
  EXPECT_EQ(listed->revision, before);
  EXPECT_EQ(values, std::vector<std::string>(1100, "old"));
}

TEST(EtcdClient, KeepsAKeyAsLongAsItsLease) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  EtcdClient client(quickOptions({server->url()}));
  const auto lease = client.grantLease(seconds(60));
  ASSERT_TRUE(lease) << lease.error().what;
  ASSERT_TRUE(client.write({}, {{.key = "/calico/a", .value = "1", .lease = *lease}}));
  const auto kept = client.keepLease(*lease);
  EXPECT_TRUE(kept) << kept.error().what;
  EXPECT_EQ((*client.get("/calico/a"))->lease, *lease);
  ASSERT_TRUE(client.revokeLease(*lease));
  EXPECT_FALSE(*client.get("/calico/a"));
  EXPECT_EQ(client.keepLease(*lease).error().code, Errc::NotFound);
}

TEST(EtcdClient, SaysThatTheServerIsFull) {
  auto server = EtcdServer::alone();
  NEEDS_ETCD(server);
  EtcdClient client(quickOptions({server->url()}));
  // The alarm is what a full quota sets.
  post(server->url(), "/v3/maintenance/alarm",
       R"({"action":"ACTIVATE","memberID":"0","alarm":"NOSPACE"})");
  const auto written = client.write({}, {{.key = "/calico/a", .value = "1"}});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::Transient);
  EXPECT_THAT(written.error().what, HasSubstr("space"));
  EXPECT_TRUE(client.currentRevision({}));
}

}  // namespace
}  // namespace margay::api
