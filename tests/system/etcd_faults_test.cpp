#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/system/backend.h"
#include "tests/system/etcd_world.h"
#include "tests/system/probe.h"

/// An agent whose real etcd is not there, or goes away.
namespace margay::system_tests {
namespace {

using namespace std::chrono_literals;
using stored::kPrefix;
using ::testing::HasSubstr;

class EtcdAway : public EtcdTest {
 protected:
  void SetUp() override {
    EtcdTest::SetUp();
    if (IsSkipped()) return;
    a_ = &addPod("a", 2);
    b_ = &addPod("b", 3);
    server_ = std::make_unique<EchoServer>(b_->ns(), 80);
    world().put(kPrefix + "profiles/kns.shop", stored::namespaceProfile("shop", {}));
  }
  void TearDown() override {
    server_.reset();
    EtcdTest::TearDown();
  }
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

 private:
  Pod& addPod(const std::string& name, int n) {
    const auto number = std::to_string(n);
    auto& pod = world().cluster().addPod(host(), {.name = name,
                                                  .ns = "shop",
                                                  .addresses = {"192.168.9." + number},
                                                  .mac = "02:00:00:00:09:0" + number});
    world().put(stored::workloadEndpointKey(pod), stored::workloadEndpoint(pod));
    return pod;
  }

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
