#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/api/scripted_api.h"
#include "tests/system/backend.h"
#include "tests/system/cluster.h"

/// Agents whose Kubernetes API says what no working one does: it is named once, asked less and less
/// often, and the kernel stays as it is. Each kind of trouble has a host of its own, so that all of
/// them back off at the same time.
namespace margay::system_tests {
namespace {

using api::test::ScriptedApi;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

const std::string kPods = "/api/v1/pods";
const std::string kPolicies = "/apis/networking.k8s.io/v1/networkpolicies";

struct Trouble {
  const char* host;
  std::string answer;
  const char* named;  ///< in the agent's log
};
const std::array<Trouble, 7> kTroubles = {{
    {"error", ScriptedApi::refusal(500, "etcd is sick"), "etcd is sick"},
    {"busy", ScriptedApi::refusal(429, "slow down"), "is busy (429)"},
    {"forbidden", ScriptedApi::refusal(403, "User u cannot list"),
     "give the ClusterRole of this user the verbs list and watch"},
    {"expired", ScriptedApi::refusal(401, "Unauthorized"), "(401)"},
    {"half-a-body",
     "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"metadata\":{\"resourceVersion\":\"5\"},"
     "\"items\":[{\"metadata\":",
     "the watch on"},
    {"half-a-list",
     "HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\n{\"metadata\":{\"resourceVersion\":\"5\"},"
     "\"items\":[{\"metadata\":",
     "ends in the middle of an event"},
    {"nothing", "", "127.0.0.1"},
}};

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

json policyOn(const std::string& app) {
  return {{"metadata", {{"name", "deny"}, {"namespace", "default"}}},
          {"spec", {{"podSelector", {{"matchLabels", {{"app", app}}}}}}}};
}

struct Case {
  Trouble trouble;
  Host* host = nullptr;
  std::unique_ptr<ScriptedApi> api;
  std::string before;  // of the kernel
  int asked = 0;       // for pods, when the trouble began

  [[nodiscard]] double connected() const {
    return host->metric("margay_datastore_connected{source=\"kubernetes\"}");
  }
};

class OnApiServerTrouble : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    int n = 0;
    for (const auto& trouble : kTroubles) begin(trouble, ++n);
    for (auto& one : cases_) one.host->converge();
  }
  void TearDown() override {
    SystemTest::TearDown();
    cases_.clear();
  }
  std::vector<Case>& cases() { return cases_; }
  void eachEventually(const std::function<bool(const Case&)>& holds) {
    for (const auto& one : cases_)
      EXPECT_TRUE(eventually([&] { return holds(one); }, seconds(60))) << one.trouble.host << '\n'
                                                                       << one.host->log();
  }

 private:
  /// A host with a pod that a policy selects, and an agent that has all that from its server.
  void begin(const Trouble& trouble, int n) {
    auto& one = cases_.emplace_back();
    one.trouble = trouble;
    one.host = &cluster().addHost(trouble.host);
    {
      const auto entered = one.host->ns().enter();
      one.api = std::make_unique<ScriptedApi>();
    }
    const auto address = "10.65." + std::to_string(n) + ".2";
    cluster().addPod(*one.host, {.name = trouble.host, .addresses = {address}});
    one.api->put("/api/v1/namespaces", {{"metadata", {{"name", "default"}}}});
    const json labels = {{"app", "a"}};
    one.api->put(kPods, {{"metadata",
                          {{"name", trouble.host}, {"namespace", "default"}, {"labels", labels}}},
                         {"spec", {{"nodeName", trouble.host}}},
                         {"status", {{"phase", "Running"}, {"podIP", address}}}});
    one.api->put(kPolicies, policyOn("a"));
    const auto file = (cluster().directory() / trouble.host).string() + ".kubeconfig";
    std::ofstream(file) << "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, "
                           "context: {cluster: s, user: u}}]\nclusters: [{name: s, cluster: "
                           "{server: \""
                        << one.api->url() << "\"}}]\nusers: [{name: u, user: {token: secret}}]\n";
    one.host->start({{"DATASTORE_TYPE", "kubernetes"}, {"KUBECONFIG", file}});
  }
  std::vector<Case> cases_;
};

TEST_F(OnApiServerTrouble, IsNamedOnceBackedOffAndLeavesTheKernelAsItIs) {
  const auto began = std::chrono::steady_clock::now();
  for (auto& one : cases()) {
    one.before = kernelState(*one.host);
    ASSERT_THAT(one.before, HasSubstr(".2 dev cali"));
    one.api->answer("/", one.trouble.answer);
    one.api->removeUnheard(kPods, "default", "none");  // so that watches are too old afterwards
    one.asked = one.api->asked("/pods?");
    one.api->endWatches();
  }
  eachEventually([](const Case& one) { return one.connected() == 0; });
  // The fourth time is after at least the halves of 0.5, 1 and 2 s.
  eachEventually([](const Case& one) { return one.api->asked("/pods?") >= one.asked + 4; });
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(1750));
  for (const auto& one : cases()) {
    EXPECT_EQ(kernelState(*one.host), one.before) << one.trouble.host;
    const auto log = one.host->log();
    EXPECT_THAT(log, HasSubstr(one.trouble.named));
    EXPECT_EQ(count(log, "Kubernetes is away"), 1) << one.trouble.host << '\n' << log;
    EXPECT_EQ(count(log, "secret"), 0) << "a token belongs into no log";
    EXPECT_EQ(one.host->sh("curl -sf http://127.0.0.1:9099/liveness").status, 0);
    one.api->answerAsUsual();
  }
  eachEventually([](const Case& one) { return one.connected() == 1; });
  for (const auto& one : cases()) {
    one.api->put(kPolicies, policyOn("b"));
    one.host->converge();
    EXPECT_NE(kernelState(*one.host), one.before) << one.trouble.host << " follows again";
  }
}

}  // namespace
}  // namespace margay::system_tests
