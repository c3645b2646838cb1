#include <gmock/gmock.h>
#include <resolv.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/api/dns_server.h"
#include "tests/system/backend.h"
#include "tests/system/etcd_world.h"

/// An agent whose real etcd does not let it in, or cannot be found, for what somebody got wrong: it
/// says so once, leaves the kernel alone, and begins when that is mended.
namespace margay::system_tests {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using stored::kPrefix;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Of many retries.
constexpr auto kAWhile = 3s;

class EtcdSecurity : public EtcdTest {
 protected:
  EtcdShape shape() override { return {.members = 3, .certificates = certificates_.directory()}; }

  /// The agent's own copies, which a test may spoil.
  Environment files() {
    const auto directory = own();
    fs::create_directories(directory);
    for (const auto* name : {"ca.pem", "client.pem", "client.key"}) mend(name);
    return {{"ETCD_CA_CERT_FILE", directory / "ca.pem"},
            {"ETCD_CERT_FILE", directory / "client.pem"},
            {"ETCD_KEY_FILE", directory / "client.key"}};
  }
  fs::path own() { return world().cluster().directory() / "tls"; }
  void put(const std::string& name, const std::string& from) {
    fs::copy_file(fs::path(certificates_.directory()) / from, own() / name,
                  fs::copy_options::overwrite_existing);
  }
  void mend(const std::string& name) { put(name, name); }

  /// With one line about it, however often it is tried.
  void expectRefused(const std::string& kernelBefore, const std::string& named) {
    ASSERT_TRUE(logs("etcd cannot be read; waiting for it")) << host().log();
    EXPECT_FALSE(eventually([&] { return logLines(" warning ").size() > 1; }, kAWhile));
    EXPECT_THAT(logLines(" warning "), ElementsAre(HasSubstr(named)));
    EXPECT_THAT(logLines(named).size(), 1U) << "also not as something less";
    EXPECT_EQ(readiness(), "503");
    EXPECT_EQ(kernelState(host()), kernelBefore);
  }
  void refuses(const std::function<void()>& spoil, const std::string& named,
               const std::function<void()>& repair) {
    const auto variables = files();
    const auto before = kernelState(host());
    spoil();
    world().start(host(), variables);
    expectRefused(before, named);
    repair();
    EXPECT_TRUE(becomesReady(5s)) << host().log();
  }

 private:
  api::test::Certificates certificates_;
};

TEST_F(EtcdSecurity, ThreeMembersWithUsersAreFollowedThroughTheDeathOfTheirLeader) {
  world().switchOnUsers("right");
  auto& pod = world().cluster().addPod(
      host(),
      {.name = "a", .ns = "shop", .addresses = {"192.168.9.2"}, .mac = "02:00:00:00:09:02"});
  world().start(host(), {{"FELIX_REPORTINGINTERVALSECS", "1"}});
  ASSERT_TRUE(becomesReady()) << host().log();
  world().killLeader();
  ASSERT_TRUE(eventually([&] { return world().etcdctl("get /").status == 0; }));
  world().put(stored::workloadEndpointKey(pod), stored::workloadEndpoint(pod));
  const auto route = [&] { return host().mustSh("ip route show 192.168.9.2"); };
  EXPECT_TRUE(eventually([&] { return !route().empty(); }, 5s)) << host().log();
  // What it writes arrives, too.
  EXPECT_TRUE(eventually([&] {
    return !world().get("/calico/felix/v2/no-region/host/one/status").empty();
  })) << host().log();
  EXPECT_EQ(host().json("status")["sources"][0]["connected"], true);
  EXPECT_THAT(host().log(), Not(HasSubstr("right")));
}

TEST_F(EtcdSecurity, AnotherCaIsNamedUntilItIsTheRightOne) {
  const auto file = (own() / "ca.pem").string();
  refuses([&] { put("ca.pem", "other-ca.pem"); }, file, [&] { mend("ca.pem"); });
}

TEST_F(EtcdSecurity, ACertificateOfAnotherCaIsNamedUntilItIsTheRightOne) {
  const auto file = (own() / "client.pem").string();
  refuses(
      [&] {
        put("client.pem", "stranger.pem");
        put("client.key", "stranger.key");
      },
      file,
      [&] {
        mend("client.key");
        mend("client.pem");
      });
}

TEST_F(EtcdSecurity, AKeyThatCannotBeReadIsNamedUntilItCan) {
  const auto file = (own() / "client.key").string();
  refuses([&] { fs::remove(file); }, file, [&] { mend("client.key"); });
}

TEST_F(EtcdSecurity, AKeyOfAnotherCertificateIsNamedUntilItIsTheRightOne) {
  const auto file = (own() / "client.key").string();
  refuses([&] { put("client.key", "server.key"); }, file, [&] { mend("client.key"); });
}

TEST_F(EtcdSecurity, AWrongPasswordIsToldWithTheUserUntilItIsTheRightOne) {
  world().switchOnUsers("right");
  const auto before = kernelState(host());
  world().start(host(), {{"ETCD_PASSWORD", "secret-but-wrong"}});
  expectRefused(before, "the user 'root'");
  EXPECT_THAT(logLines("the user 'root'"), ElementsAre(HasSubstr("ETCD_PASSWORD")));
  EXPECT_THAT(host().log(), Not(HasSubstr("secret-but-wrong")));
  auto once = world().environment();
  once["ETCD_PASSWORD"] = "secret-but-wrong";
  once["MARGAY_RUN_DIR"] = (host().runDir() / "x").string();
  const auto got = host().agent("--once 2>&1", once);
  EXPECT_EQ(got.status, 1) << got.output;
  EXPECT_THAT(got.output, HasSubstr("the user 'root'"));
  world().setPassword("secret-but-wrong");
  EXPECT_TRUE(becomesReady(5s)) << host().log();
}

class EtcdDiscovered : public EtcdTest {};

TEST_F(EtcdDiscovered, MembersAreWaitedForWhileDnsIsAway) {
  struct __res_state resolver {};
  ASSERT_EQ(res_ninit(&resolver), 0);
  const auto dnsServer = resolver.nsaddr_list[0];
  res_nclose(&resolver);
  if (dnsServer.sin_family != AF_INET) GTEST_SKIP() << "no IPv4 in /etc/resolv.conf";
  char address[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &dnsServer.sin_addr, address, sizeof address);
  static_cast<void>(host().sh(std::string("ip address add ") + address + "/32 dev lo"));
  auto environment = world().environment();
  const auto url = environment["ETCD_ENDPOINTS"];
  environment["ETCD_ENDPOINTS"] = "";
  environment["ETCD_DISCOVERY_SRV"] = "example.org";
  const auto before = kernelState(host());
  host().start(environment);
  ASSERT_TRUE(logs("etcd cannot be read; waiting for it")) << host().log();
  EXPECT_FALSE(eventually([&] { return logLines("DNS does not answer").size() > 1; }, kAWhile));
  EXPECT_THAT(logLines(" warning "),
              ElementsAre(AllOf(HasSubstr("ETCD_DISCOVERY_SRV"), HasSubstr("example.org"))));
  EXPECT_EQ(readiness(), "503");
  EXPECT_EQ(kernelState(host()), before);
  const auto entered = host().ns().enter();
  const api::test::DnsServer dns(
      {{"_etcd-client._tcp.example.org", {{1, 1, 2379, "172.30.0.100"}}}}, dnsServer);
  EXPECT_TRUE(becomesReady(8s)) << host().log();
}

}  // namespace
}  // namespace margay::system_tests
