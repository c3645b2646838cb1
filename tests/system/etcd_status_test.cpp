#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/system/etcd_world.h"

/// What an agent says about itself in a real etcd, and what stays of it when it ends.
namespace margay::system_tests {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;
using Json = nlohmann::json;
using stored::kPrefix;

const std::string kStatus = "/calico/felix/v2/no-region/host/one/";

class EtcdStatus : public EtcdTest {
 protected:
  bool becomes(const std::string& key, const std::string& value,
               std::chrono::milliseconds patience = kPatience) {
    return eventually([&] { return world().get(key) == value; }, patience);
  }
};

TEST_F(EtcdStatus, EndpointsAreReportedAndTheNodesStatusEndsWithIt) {
  auto& pod = world().cluster().addPod(
      host(),
      {.name = "web", .ns = "shop", .addresses = {"192.168.9.2"}, .mac = "02:00:00:00:09:02"});
  world().put(stored::workloadEndpointKey(pod), stored::workloadEndpoint(pod));
  world().put(kPrefix + "profiles/kns.shop", stored::namespaceProfile("shop", {}));
  world().start(host(), {{"FELIX_REPORTINGINTERVALSECS", "1"},
                         {"FELIX_REPORTINGTTLSECS", "3"},
                         {"FELIX_ENDPOINTREPORTINGENABLED", "true"},
                         {"FELIX_ENDPOINTREPORTINGDELAYSECS", "0.1"}});
  const auto endpoint = kStatus + "workload/k8s/shop%2fweb/endpoint/eth0";
  EXPECT_TRUE(becomes(endpoint, R"({"status":"up"})"));
  pod.unwire();
  EXPECT_TRUE(becomes(endpoint, R"({"status":"down"})"));
  pod.wire();
  EXPECT_TRUE(becomes(endpoint, R"({"status":"up"})"));

  const auto status = [&] { return world().get(kStatus + "status"); };
  ASSERT_TRUE(eventually([&] { return !status().empty(); }));
  EXPECT_TRUE(eventually([&] { return Json::parse(status())["first_update"] == false; }));
  EXPECT_GT(Json::parse(status())["uptime"].get<double>(), 0.5);
  world().remove(stored::workloadEndpointKey(pod));
  EXPECT_TRUE(becomes(endpoint, ""));

  host().kill();
  EXPECT_TRUE(eventually([&] { return status().empty(); }, 15s)) << "the lease ends it";
  EXPECT_FALSE(world().get(kStatus + "last_reported_status").empty());
}

TEST_F(EtcdStatus, ANewClusterGetsWhatCalicoNodeMakesAndIsQuiet) {
  world().start(host());
  host().converge();
  const auto made = [&] { return world().keys(kPrefix).size() == 10; };
  EXPECT_TRUE(eventually(made)) << ::testing::PrintToString(world().keys(kPrefix));
  EXPECT_EQ(world().document(kPrefix + "nodes/one")["spec"]["bgp"]["ipv4Address"], "172.30.0.1/24");
  EXPECT_EQ(world().document(kPrefix + "felixconfigurations/default")["spec"],
            Json({{"reportingInterval", "0s"}, {"logSeverityScreen", "Info"}}));
  EXPECT_EQ(world().document(kPrefix + "felixconfigurations/node.one")["spec"],
            Json({{"defaultEndpointToHostAction", "Return"}}));
  EXPECT_EQ(world().document(kPrefix + "tiers/kube-admin")["spec"],
            Json({{"order", 1000}, {"defaultAction", "Pass"}}));
  EXPECT_EQ(world().document(kPrefix + "clusterinformations/default")["spec"]["datastoreReady"],
            true);
  EXPECT_THAT(world().keys("/calico/felix"), IsEmpty()) << "reportingInterval is 0";
  EXPECT_THAT(world().ctl(host(), "status -o json").output,
              ::testing::HasSubstr(R"("invalidObjects": [])"));
}

}  // namespace
}  // namespace margay::system_tests
