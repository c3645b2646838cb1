#include "tests/system/kubernetes_world.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/kubernetes/shared_api_server.h"

namespace margay::system_tests {
namespace {

using nlohmann::json;

constexpr auto kMergePatch = "application/merge-patch+json";

}  // namespace

void KubernetesTest::SetUp() {
  SystemTest::SetUp();
  if (IsSkipped()) return;
  server_ = testing::sharedApiServer();
  if (server_ == nullptr) GTEST_SKIP() << "no kube-apiserver: run tests/kubernetes/build";
  home_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (!std::exchange(manifestsApplied_, true)) {
    for (const char* manifests : {"-f " MARGAY_SOURCE_DIR "/manifests/margay.yaml",
                                  "-k " MARGAY_SOURCE_DIR "/manifests/policy-api"})
      server_->mustKubectl(std::string("apply ") + manifests);
    server_->mustKubectl("wait --for=condition=Established crd --all --timeout=30s");
  }
  testing::wipeObjects(*server_);
  tokenFile_ = server_->directory() + "/agent.token";
  renewToken();
  audited_ = server_->audit().size();
}

void KubernetesTest::TearDown() {
  SystemTest::TearDown();
  lines_.clear();
  if (home_ >= 0) ::close(home_);
}

std::vector<testing::AuditedRequest> KubernetesTest::audit() const {
  auto all = server_->audit();
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(audited_));
  return all;
}

Host& KubernetesTest::addNode(const std::string& name) {
  auto& host = cluster().addHost(name);
  const int n = ++hosts_;
  const auto number = std::to_string(n);
  create("/api/v1/nodes",
         {{"metadata", {{"name", name}}},
          {"spec",
           {{"podCIDR", "10.65." + number + ".0/24"},
            {"podCIDRs", {"10.65." + number + ".0/24", "fd65:0:0:" + number + "::/64"}}}}});
  json addresses = json::array();
  for (const auto family : {Family::V4, Family::V6})
    addresses.push_back(
        {{"type", "InternalIP"}, {"address", Cluster::hostAddress(n, family).str()}});
  server().mustCall("PATCH", "/api/v1/nodes/" + name + "/status",
                    json{{"status", {{"addresses", addresses}}}}.dump(), kMergePatch);
  const auto entered = host.ns().enter();
  lines_.push_back({&host, std::make_unique<api::test::Relay>(server().port(), home_)});
  return host;
}

api::test::Relay& KubernetesTest::relay(const Host& host) {
  return *std::find_if(lines_.begin(), lines_.end(), [&](const Line& line) {
            return line.host == &host;
          })->relay;
}

Environment KubernetesTest::access(const Host& host) {
  const auto url = "https://127.0.0.1:" + std::to_string(relay(host).port());
  return {{"DATASTORE_TYPE", "kubernetes"},
          {"KUBECONFIG", server().writeKubeconfig(host.name(), url, tokenFile_)}};
}

void KubernetesTest::startAgent(Host& host, const Environment& extra) {
  auto environment = access(host);
  environment.insert(extra.begin(), extra.end());
  host.start(environment);
  host.converge();
}

void KubernetesTest::startAgents(const std::vector<Host*>& hosts) {
  for (auto* host : hosts) host->start(access(*host));
  for (auto* host : hosts) host->converge();
}

void KubernetesTest::addNamespace(const std::string& name,
                                  const std::map<std::string, std::string>& labels) {
  const json object = {{"metadata", {{"name", name}, {"labels", labels}}}};
  const std::string namespaces = "/api/v1/namespaces";
  // One of an earlier test, or of the server, is there already.
  if (server().call("POST", namespaces, object.dump()).status == 409)
    server().mustCall("PATCH", namespaces + '/' + name, object.dump(), kMergePatch);
}

Pod& KubernetesTest::addPod(Host& host, PodSpec spec) {
  auto& pod = cluster().addPod(host, std::move(spec));
  const auto& made = pod.spec();
  const auto path = "/api/v1/namespaces/" + made.ns + "/pods";
  server().mustCall("POST", path, pod.manifest(), "application/yaml");
  json addresses = json::array();
  for (const auto& address : made.addresses) addresses.push_back({{"ip", address}});
  const json status = {{"phase", "Running"}, {"podIP", made.addresses[0]}, {"podIPs", addresses}};
  server().mustCall("PATCH", path + '/' + made.name + "/status", json{{"status", status}}.dump(),
                    kMergePatch);
  return pod;
}

void KubernetesTest::addPodObject(const std::string& node, const std::string& ns,
                                  const std::string& name, const std::string& address,
                                  const std::map<std::string, std::string>& labels) {
  const auto path = "/api/v1/namespaces/" + ns + "/pods";
  create(path,
         {{"metadata", {{"name", name}, {"labels", labels}}},
          {"spec",
           {{"nodeName", node}, {"containers", json::array({{{"name", "c"}, {"image", "i"}}})}}}});
  const json status = {
      {"phase", "Running"}, {"podIP", address}, {"podIPs", json::array({{{"ip", address}}})}};
  server().mustCall("PATCH", path + '/' + name + "/status", json{{"status", status}}.dump(),
                    kMergePatch);
}

void KubernetesTest::renewToken() {
  putToken(server().serviceAccountToken("kube-system", "margay"));
}

void KubernetesTest::putToken(const std::string& token) {
  const auto fresh = tokenFile_ + ".new";
  std::ofstream(fresh) << token;
  std::filesystem::rename(fresh, tokenFile_);
}

void KubernetesTest::create(const std::string& path, const json& object) {
  server().mustCall("POST", path, object.dump());
}

void TwoNodesTest::SetUp() {
  KubernetesTest::SetUp();
  if (IsSkipped()) return;
  one_ = &addNode("one");
  two_ = &addNode("two");
  addNamespace("shop", {{"team", "shop"}});
  addNamespace("ads", {{"team", "ads"}});
}

}  // namespace margay::system_tests
