#include "cmd/agent/node_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/kubernetes/api_server_fixture.h"

/// What a node writes to a real API server, with the rights of the manifest.
namespace margay::testing {
namespace {

using namespace std::chrono_literals;
using agent::NodePublisher;
using agent::Settings;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;
using ::testing::UnorderedElementsAre;

const std::string kCrds = "/apis/crd.projectcalico.org/v1/";
const std::string kNode = "/api/v1/nodes/worker";

class PublisherOnTheServer : public ApiServerTest {
 protected:
  void SetUp() override {
    ApiServerTest::SetUp();
    if (IsSkipped()) return;
    server().mustKubectl("apply -f " MARGAY_SOURCE_DIR "/manifests/margay.yaml");
    server().mustKubectl("wait --for=condition=Established crd --all --timeout=30s");
    server().mustCall("POST", "/api/v1/nodes",
                      R"({"metadata":{"name":"worker","annotations":{"kubelet":"is mine"}}})");
    const auto token = server().directory() + "/margay.token";
    std::ofstream(token) << server().serviceAccountToken("kube-system", "margay");
    kubeconfig_ = server().writeKubeconfig("margay", server().url(), token);
  }

  /// A publisher with this environment besides what every node has.
  std::unique_ptr<NodePublisher> publisher(std::map<std::string, std::string> environment) {
    environment.merge(std::map<std::string, std::string>{{"DATASTORE_TYPE", "kubernetes"},
                                                         {"NODENAME", "worker"},
                                                         {"KUBECONFIG", kubeconfig_},
                                                         {"CLUSTER_TYPE", "k8s,margay"}});
    auto settings = agent::readSettings(std::move(environment), {});
    EXPECT_TRUE(settings) << settings.error().what;
    auto made = NodePublisher::start(
        *settings, {.ready = [this] { return ready_.load(); }, .listed = [] { return true; }});
    EXPECT_TRUE(made) << made.error().what;
    return std::move(*made);
  }
  void becomeReady() { ready_ = true; }

  /// Null where there is none.
  json item(const std::string& path) {
    const auto reply = server().call("GET", path);
    return reply.status == 200 ? json::parse(reply.body) : json();
  }
  json condition() {
    for (const auto& each : item(kNode)["status"].value("conditions", json::array())) {
      if (each["type"] == "NetworkUnavailable") return each;
    }
    return {};
  }
  std::set<std::string> pools() {
    std::set<std::string> out;
    const auto all = item(kCrds + "ippools");
    for (const auto& pool : all["items"]) out.insert(pool["metadata"]["name"].get<std::string>());
    return out;
  }
  bool publishes() {
    return eventually([&] { return !item(kCrds + "clusterinformations/default").is_null(); }, 20s);
  }
  /// "create ippools", of which none was refused.
  std::multiset<std::string> writes() {
    std::multiset<std::string> out;
    for (const auto& request : server().audit()) {
      EXPECT_NE(request.status, 403) << request.verb << ' ' << request.path;
      if (request.verb != "get" && request.verb != "list")
        out.insert(request.verb + ' ' + request.resource);
    }
    return out;
  }

 private:
  std::string kubeconfig_;
  std::atomic<bool> ready_{false};
};

TEST_F(PublisherOnTheServer, WritesWhatCalicoNodeDoesAndNothingElse) {
  const std::map<std::string, std::string> environment = {
      {"IP", "192.0.2.7/24"}, {"AS", "1.10"}, {"CALICO_IPV4POOL_CIDR", "10.9.0.0/16"}};
  const auto first = publisher(environment);
  ASSERT_TRUE(publishes());
  const auto annotations = item(kNode)["metadata"]["annotations"];
  EXPECT_EQ(annotations["projectcalico.org/IPv4Address"], "192.0.2.7/24");
  EXPECT_EQ(annotations["projectcalico.org/ASNumber"], "65546");
  EXPECT_EQ(annotations["kubelet"], "is mine");
  EXPECT_THAT(pools(), ::testing::Contains("default-ipv4-ippool"));
  const auto pool = item(kCrds + "ippools/default-ipv4-ippool");
  EXPECT_EQ(pool["spec"]["cidr"], "10.9.0.0/16");
  EXPECT_EQ(pool["spec"]["natOutgoing"], true);
  const auto cluster = item(kCrds + "clusterinformations/default");
  EXPECT_EQ(cluster["spec"]["clusterType"], "k8s,margay,kdd");
  EXPECT_EQ(cluster["spec"]["clusterGUID"].get<std::string>().size(), 32U);
  EXPECT_EQ(cluster["spec"]["datastoreReady"], true);

  EXPECT_TRUE(condition().is_null()) << "the node is not ready";
  becomeReady();
  ASSERT_TRUE(eventually([&] { return !condition().is_null(); }, 20s));
  EXPECT_EQ(condition()["status"], "False");
  EXPECT_THAT(writes(), IsSubsetOf({"patch nodes/status", "patch nodes/status", "create ippools",
                                    "create ippools", "create clusterinformations"}));
  EXPECT_EQ(item(kCrds + "felixconfigurations")["items"].size(), 0U);
}

TEST_F(PublisherOnTheServer, AtItsEndTheNetworkIsNoLongerThere) {
  auto made = publisher({{"NO_DEFAULT_POOLS", "true"}});
  becomeReady();
  const auto told = [&](const char* status) {
    const auto now = condition();
    return now.is_object() && now["status"] == status;
  };
  ASSERT_TRUE(eventually([&] { return told("False"); }, 20s));
  made.reset();
  ASSERT_TRUE(told("True"));
  EXPECT_EQ(condition()["message"], "Margay is shutting down on this node");
  made = publisher({{"NO_DEFAULT_POOLS", "true"}});
  EXPECT_TRUE(eventually([&] { return told("False"); }, 20s));
  server().freeze();
  const auto begin = std::chrono::steady_clock::now();
  made.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "it waits for no server";
  server().thaw();
}

TEST_F(PublisherOnTheServer, ASecondStartWritesNothingMore) {
  const std::map<std::string, std::string> environment = {{"IP", "192.0.2.7/24"}};
  publisher(environment).reset();  // in the middle of it, perhaps
  auto first = publisher(environment);
  ASSERT_TRUE(publishes());
  first.reset();
  const auto before = item(kNode)["metadata"]["resourceVersion"];
  const auto written = writes();
  const auto looks = [&] {
    const auto audit = server().audit();
    return std::count_if(audit.begin(), audit.end(), [](const auto& request) {
      return request.resource == "clusterinformations" && request.verb == "get";
    });
  };
  const auto looked = looks();
  const auto second = publisher(environment);
  EXPECT_TRUE(eventually([&] { return looks() > looked; }, 20s));
  EXPECT_EQ(writes(), written);
  EXPECT_EQ(item(kNode)["metadata"]["resourceVersion"], before);
}

TEST_F(PublisherOnTheServer, WithoutANetworkOfOursTheNodeIsLeftAlone) {
  becomeReady();
  const auto made =
      publisher({{"CALICO_NETWORKING_BACKEND", "none"}, {"NO_DEFAULT_POOLS", "true"}});
  ASSERT_TRUE(publishes());
  EXPECT_THAT(writes(), UnorderedElementsAre("create clusterinformations"));
  EXPECT_THAT(pools(), IsEmpty());
  EXPECT_TRUE(condition().is_null());
}

TEST_F(PublisherOnTheServer, TheInternalAddressOfTheNodeIsTaken) {
  server().mustCall("PATCH", kNode + "/status",
                    R"({"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.9"}]}})",
                    "application/merge-patch+json");
  const auto made =
      publisher({{"IP", "autodetect"}, {"IP_AUTODETECTION_METHOD", "kubernetes-internal-ip"}});
  ASSERT_TRUE(publishes());
  EXPECT_THAT(
      item(kNode)["metadata"]["annotations"]["projectcalico.org/IPv4Address"].get<std::string>(),
      HasSubstr("192.0.2.9/"));
}

}  // namespace
}  // namespace margay::testing
