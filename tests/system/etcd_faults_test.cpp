#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/system/backend.h"
#include "tests/system/etcd_world.h"
#include "tests/system/probe.h"

/// An agent whose real etcd is not there, goes away, or does not let it in.
namespace margay::system_tests {
namespace {

using namespace std::chrono_literals;
using stored::kPrefix;
using ::testing::HasSubstr;
using ::testing::Not;

class EtcdAway : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "system tests make network namespaces: run them as root";
    world_ = std::make_unique<EtcdWorld>();
    if (!world_->ready()) GTEST_SKIP() << "no etcd to run";
    host_ = &world_->cluster().addHost("one");
    a_ = &addPod("a", 2);
    b_ = &addPod("b", 3);
    server_ = std::make_unique<EchoServer>(b_->ns(), 80);
    world_->put(kPrefix + "profiles/kns.shop", stored::namespaceProfile("shop", {}));
  }
  void TearDown() override {
    if (host_ != nullptr && HasFailure()) std::cerr << host_->log();
    server_.reset();
  }
  EtcdWorld& world() { return *world_; }
  Host& host() { return *host_; }
  Pod& a() { return *a_; }
  Pod& b() { return *b_; }
  bool passes(std::chrono::milliseconds patience = kPatience) {
    return tcpReaches(a().from(), b().address(), 80, patience);
  }

  void denyAll() {
    world().put(kPrefix + "networkpolicies/shop/default.deny",
                stored::object({.kind = "NetworkPolicy", .name = "default.deny", .ns = "shop"},
                               R"j({"selector":"all()","types":["Ingress"]})j"));
  }

  /// The status of the answer.
  std::string readiness() {
    return host()
        .sh("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9099/readiness")
        .output;
  }
  double connected() { return host().metric(R"(margay_datastore_connected{source="etcd"})"); }
  double resyncs() { return host().metric(R"(margay_datastore_resyncs_total{source="etcd"})"); }
  /// Of the kernel, by the agent, since it began.
  double changes() {
    double sum = 0;
    for (const auto& [series, value] : host().metrics()) {
      if (series.starts_with("margay_dataplane_changes_total")) sum += value;
    }
    return sum;
  }
  bool logs(const std::string& text) {
    return eventually([&] { return host().log().find(text) != std::string::npos; });
  }
  std::vector<std::string> logLines(const std::string& with) {
    std::vector<std::string> out;
    std::istringstream lines(host().log());
    for (std::string line; std::getline(lines, line);) {
      if (line.find(with) != std::string::npos) out.push_back(line);
    }
    return out;
  }

 private:
  Pod& addPod(const std::string& name, int n) {
    const auto number = std::to_string(n);
    auto& pod = world_->cluster().addPod(*host_, {.name = name,
                                                  .ns = "shop",
                                                  .addresses = {"192.168.9." + number},
                                                  .mac = "02:00:00:00:09:0" + number});
    world_->put(stored::workloadEndpointKey(pod), stored::workloadEndpoint(pod));
    return pod;
  }

  std::unique_ptr<EtcdWorld> world_;
  Host* host_ = nullptr;
  Pod* a_ = nullptr;
  Pod* b_ = nullptr;
  std::unique_ptr<EchoServer> server_;
};

TEST_F(EtcdAway, AtTheStartItIsWaitedForAndTheKernelIsLeftAlone) {
  world().etcd().kill();
  const auto before = kernelState(host());
  world().start(host());
  ASSERT_TRUE(logs("etcd cannot be read; waiting for it")) << host().log();
  EXPECT_THAT(logLines("waiting for it").front(), HasSubstr(world().etcd().url()));
  EXPECT_EQ(readiness(), "503");
  EXPECT_EQ(connected(), 0);
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_EQ(host().ctl("wait --timeout 1s").status, 1);
  EXPECT_EQ(kernelState(host()), before);
  world().startEtcd();
  EXPECT_TRUE(eventually([&] { return readiness() == "200"; }, 5s));
  EXPECT_TRUE(passes());
  EXPECT_EQ(connected(), 1);
}

TEST_F(EtcdAway, LaterTheStateIsFrozenAndTheNodeStaysReady) {
  world().start(host());
  host().converge();
  ASSERT_TRUE(passes());
  Flow flow(a().from(), b().address(), 80);
  // What the node writes about itself comes back to it.
  ASSERT_TRUE(
      eventually([&] { return world().keys(kPrefix + "clusterinformations").size() == 1; }));
  host().converge();
  const auto before = kernelState(host());

  world().etcd().kill();
  EXPECT_TRUE(eventually([&] { return connected() == 0; }, 15s));
  EXPECT_TRUE(logs("etcd is away; its last state stays in force"));
  EXPECT_EQ(readiness(), "200");
  EXPECT_EQ(host().json("status")["sources"][0]["connected"], false);
  host().kill();  // nothing that it holds keeps the rules
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_TRUE(flow.echoes(kPatience));
  world().start(host());
  ASSERT_TRUE(eventually([&] { return logLines("waiting for it").size() == 1; }));
  EXPECT_EQ(kernelState(host()), before) << "an agent that knows nothing removes nothing";
  EXPECT_TRUE(flow.echoes(kPatience));
  EXPECT_TRUE(passes());

  world().startEtcd();
  EXPECT_TRUE(eventually([&] { return readiness() == "200"; }, 5s));
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_EQ(changes(), 0) << "what is right is not written again";
  EXPECT_TRUE(flow.echoes(kPatience));
}

TEST_F(EtcdAway, BackAgainItIsFollowedWithoutAChangeOfWhatStayed) {
  world().start(host());
  host().converge();
  ASSERT_TRUE(passes());
  ASSERT_TRUE(eventually([&] { return world().keys(kPrefix).size() == 13; }))
      << ::testing::PrintToString(world().keys(kPrefix));
  host().converge();
  const auto before = kernelState(host());
  const auto changed = changes();
  const auto lists = resyncs();

  world().etcd().freeze();
  EXPECT_TRUE(eventually([&] { return connected() == 0; }, 15s));
  EXPECT_EQ(readiness(), "200");
  world().etcd().thaw();
  EXPECT_TRUE(eventually([&] { return connected() == 1; }, 5s));
  EXPECT_EQ(resyncs(), lists) << "it goes on where it was";
  EXPECT_EQ(kernelState(host()), before);
  EXPECT_EQ(changes(), changed);

  world().etcd().kill();
  EXPECT_TRUE(eventually([&] { return connected() == 0; }, 15s));
  world().startEtcd();
  const auto back = std::chrono::steady_clock::now();
  denyAll();
  EXPECT_TRUE(eventually([&] { return !passes(kNoAnswer); }, 5s));
  EXPECT_LT(std::chrono::steady_clock::now() - back, 5s);
  EXPECT_EQ(resyncs(), lists);
}

TEST_F(EtcdAway, AWrongPasswordIsToldInOneLineWithTheUser) {
  for (const auto* command :
       {"user add root:right", "role add root", "user grant-role root root", "auth enable"})
    ASSERT_EQ(world().etcdctl(command).status, 0) << command;
  const auto before = kernelState(host());
  world().start(host(), {{"ETCD_USERNAME", "root"}, {"ETCD_PASSWORD", "secret-but-wrong"}});
  ASSERT_TRUE(logs("etcd cannot be read; waiting for it")) << host().log();
  EXPECT_EQ(readiness(), "503");
  EXPECT_EQ(kernelState(host()), before);
  const auto lines = logLines("waiting for it");
  EXPECT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines.front(), HasSubstr("the user 'root'"));
  EXPECT_THAT(lines.front(), HasSubstr("ETCD_PASSWORD"));
  EXPECT_THAT(host().log(), Not(HasSubstr("secret-but-wrong")));
  const auto got =
      host().agent("--once 2>&1", {{"DATASTORE_TYPE", "etcdv3"},
                                   {"ETCD_ENDPOINTS", world().etcd().url()},
                                   {"MARGAY_RUN_DIR", (host().runDir() / "x").string()},
                                   {"ETCD_USERNAME", "root"},
                                   {"ETCD_PASSWORD", "secret-but-wrong"}});
  EXPECT_EQ(got.status, 1) << got.output;
  EXPECT_THAT(got.output, HasSubstr("the user 'root'"));
  host().stop();
  world().start(host(), {{"ETCD_USERNAME", "root"}, {"ETCD_PASSWORD", "right"}});
  host().converge();
  EXPECT_TRUE(passes());
}

TEST_F(EtcdAway, ANodeThatGetsAnotherAddressIsFollowedWithoutARestart) {
  auto& other = world().cluster().addHost("two");
  auto& far = world().cluster().addPod(
      other,
      {.name = "far", .ns = "shop", .addresses = {"192.168.77.3"}, .mac = "02:00:00:00:77:03"});
  world().put(stored::workloadEndpointKey(far), stored::workloadEndpoint(far));
  const auto putNode = [&](const std::string& address) {
    world().put(kPrefix + "nodes/two",
                stored::object({.kind = "Node", .name = "two"},
                               R"({"bgp":{"ipv4Address":")" + address + R"(/24"}})"));
  };
  putNode("172.30.0.2");
  world().start(host());
  host().converge();
  const auto route = [&] { return host().mustSh("ip route show 192.168.77.3"); };
  EXPECT_THAT(route(), HasSubstr("via 172.30.0.2 "));
  putNode("172.30.0.22");
  EXPECT_TRUE(eventually([&] { return route().find("via 172.30.0.22 ") != std::string::npos; }))
      << route();
  world().remove(kPrefix + "nodes/two");
  EXPECT_TRUE(eventually([&] { return route().empty(); })) << route();
}

}  // namespace
}  // namespace margay::system_tests
