#include "api/etcd/etcd_discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/etcd/etcd_options.h"
#include "tests/api/dns_server.h"
#include "tests/api/etcd_following.h"

namespace margay::api {
namespace {

using test::DnsServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EtcdDiscovery, FindsMembersByTheirRecords) {
  const DnsServer dns({{"_etcd-client._tcp.example.org",
                        {{20, 1, 2379, "c.example.org"},
                         {10, 1, 2379, "b.example.org"},
                         {10, 9, 12379, "a.example.org"}}}});
  const auto found = discoverEtcd("example.org", {}, dns.address());
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(*found, ElementsAre("http://a.example.org:12379", "http://b.example.org:2379",
                                  "http://c.example.org:2379"));
}

TEST(EtcdDiscovery, PrefersTls) {
  const DnsServer dns({{"_etcd-client._tcp.example.org", {{1, 1, 2379, "a.example.org"}}},
                       {"_etcd-client-ssl._tcp.example.org", {{1, 1, 2379, "a.example.org"}}}});
  EXPECT_THAT(*discoverEtcd("example.org", {}, dns.address()),
              ElementsAre("https://a.example.org:2379", "http://a.example.org:2379"));
}

TEST(EtcdDiscovery, SaysThatThereIsNone) {
  const DnsServer dns({});
  const auto found = discoverEtcd("example.org", {}, dns.address());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::NotFound);
  EXPECT_THAT(found.error().what, HasSubstr("_etcd-client._tcp.example.org"));
}

TEST(EtcdDiscovery, IsWaitedForByASource) {
  auto server = test::EtcdServer::alone();
  NEEDS_ETCD(server);
  ASSERT_TRUE(test::clientOf(test::quickOptions({server->url()}))->write({}, {test::profile("a")}));
  const int port = std::stoi(server->url().substr(server->url().rfind(':') + 1));
  DnsServer dns({{"_etcd-client._tcp.example.org", {{1, 1, port, "127.0.0.1"}}}});
  dns.answer(false);
  auto options = test::quickOptions({});
  options.discoveryDomain = "example.org";
  options.dns = dns.address();
  test::Following etcd(options);
  etcd.source.start();
  ASSERT_TRUE(etcd.reader.until([&] { return !etcd.reader.state().error.empty(); }));
  EXPECT_THAT(etcd.reader.state().error, HasSubstr("ETCD_DISCOVERY_SRV: DNS does not answer"));
  EXPECT_FALSE(etcd.reader.state().synced);
  const auto asked = std::chrono::steady_clock::now();
  etcd.source.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(2));
  etcd.source.start();
  dns.answer(true);
  EXPECT_TRUE(etcd.reader.untilHas("Profile a"));
}

TEST(EtcdOptions, EndpointsAreGivenOrFound) {
  EXPECT_THAT(etcdOptions({{"ETCD_DISCOVERY_SRV", "example.org"},
                           {"ETCD_ENDPOINTS", "http://127.0.0.1:2379"}})
                  .error()
                  .what,
              HasSubstr("ETCD_DISCOVERY_SRV"));
}

}  // namespace
}  // namespace margay::api
