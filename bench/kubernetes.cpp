#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "api/codec/base64.h"
#include "bench/agent_process.h"
#include "bench/percentiles.h"
#include "dataplane/ipset_driver.h"
#include "tests/api/relay.h"
#include "tests/kubernetes/api_server.h"

/// The agent on a real Kubernetes API with a large cluster: its start, what it asks the server for
/// and how much that is, from a change at the server to the kernel, and what heartbeats of nodes
/// cost. Prints one JSON object a line. Needs root and tests/kubernetes/build.
///   kubernetes [PODS [EVENTS]]     default 100000 and 300
namespace margay::bench {
namespace {

using nlohmann::json;
using testing::ApiServer;

constexpr auto kMergePatch = "application/merge-patch+json";

bool send(ApiServer& server, const std::string& method, const std::string& path, const json& body,
          const std::string& type = "application/json") {
  const auto reply = server.call(method, path, body.dump(), type);
  if (reply.status / 100 != 2) std::cerr << method << ' ' << path << ": " << reply.body << '\n';
  return reply.status / 100 == 2;
}

/// Where the server keeps an object. It reads JSON as well as what it writes itself.
std::string storedAt(const json& object) {
  static const std::map<std::string, std::string> kFolders = {
      {"Namespace", "namespaces"}, {"Pod", "pods"}, {"NetworkPolicy", "networkpolicies"}};
  const auto& metadata = object["metadata"];
  return "/registry/" + kFolders.at(object["kind"]) + '/' +
         (metadata.contains("namespace") ? metadata["namespace"].get<std::string>() + '/' : "") +
         metadata["name"].get<std::string>();
}

bool createNode(ApiServer& server, const json& node) {
  const std::string nodes = "/api/v1/nodes";
  const std::string name = node["metadata"]["name"];
  return send(server, "POST", nodes, node) && send(server, "PATCH", nodes + '/' + name + "/status",
                                                   {{"status", node["status"]}}, kMergePatch);
}

/// Everything of the file. All but nodes are put where the server keeps them: two requests an
/// object, as a kubelet makes them, would take longer than all that is measured.
bool fill(ApiServer& server, const std::filesystem::path& file) {
  constexpr std::size_t kAtOnce = 128;  // what etcd takes
  std::ifstream in(file);
  const auto items = json::parse(in)["items"];
  for (std::size_t at = 0; at < items.size(); at += kAtOnce) {
    json puts = json::array();
    for (std::size_t i = at; i < std::min(items.size(), at + kAtOnce); ++i) {
      if (items[i]["kind"] == "Node") {
        if (!createNode(server, items[i])) return false;
        continue;
      }
      puts.push_back({{"requestPut",
                       {{"key", api::base64Encode(storedAt(items[i]))},
                        {"value", api::base64Encode(items[i].dump())}}}});
    }
    if (puts.empty()) continue;
    const auto answer =
        api::test::post(server.etcd().url(), "/v3/kv/txn", json{{"success", puts}}.dump());
    if (answer.find("succeeded") == std::string::npos) {
      std::cerr << answer << '\n';
      return false;
    }
  }
  return true;
}

class Bench {
 public:
  Bench(ApiServer& server, const testing::NetworkNamespace& where, int home)
      : server_(server), where_(where), home_(home) {
    file_ = server.directory() + "/bench.token";
    std::ofstream(file_) << server.serviceAccountToken("kube-system", "margay",
                                                       std::chrono::hours(6));
  }
  /// On a server that has nothing yet.
  bool idle();
  bool start(int pods, int starts);
  void minute(const std::string& which);
  bool relist();
  bool events(int count);
  void heartbeats(int count, int nodes);

 private:
  /// How often the agent has changed anything in the kernel.
  [[nodiscard]] double kernelChanges() const;
  void startAgent() {
    agent_.reset();
    {
      const auto entered = where_.enter();
      relay_ = std::make_unique<api::test::Relay>(server_.port(), home_);
    }
    const auto url = "https://127.0.0.1:" + std::to_string(relay_->port());
    agent_ = std::make_unique<AgentProcess>(
        where_, scratch_.path(),
        AgentProcess::Environment{{"DATASTORE_TYPE", "kubernetes"},
                                  {"KUBECONFIG", server_.writeKubeconfig("bench", url, file_)},
                                  {"CALICO_NETWORKING_BACKEND", "none"},
                                  {"FELIX_PROMETHEUSMETRICSENABLED", "true"},
                                  {"FELIX_IPTABLESBACKEND", "Legacy"}});
  }
  ApiServer& server_;
  const testing::NetworkNamespace& where_;
  const int home_;
  const ScratchDirectory scratch_;
  std::string file_;
  std::unique_ptr<api::test::Relay> relay_;
  std::unique_ptr<AgentProcess> agent_;
  double idleMemory_ = 0;  // MiB
};

bool Bench::idle() {
  startAgent();
  if (!agent_->waitReady()) {
    std::cerr << "the agent does not get ready\n" << agent_->log();
    return false;
  }
  idleMemory_ = agent_->memory("VmRSS");
  print({"resident memory without pods", idleMemory_, "MiB", 0, 64});
  agent_.reset();
  return true;
}

bool Bench::start(int pods, int starts) {
  double starting = 1e9;
  double resident = 0;
  double highest = 0;
  double bytes = 0;
  for (int i = 0; i < starts; ++i) {
    const auto begin = Clock::now();
    startAgent();
    if (!agent_->waitReady()) {
      std::cerr << "the agent does not get ready\n" << agent_->log();
      return false;
    }
    starting = std::min(starting, secondsSince(begin));
    resident = std::max(resident, agent_->memory("VmRSS"));
    highest = std::max(highest, agent_->memory("VmHWM"));
    bytes = static_cast<double>(relay_->bytesFromServer()) / 1e6;
  }
  print({"start with " + std::to_string(pods) + " pods from the API", starting, "s", 0, 60});
  print({"of that, the agent's own processor time", agent_->cpuSeconds(), "s", 0, 60});
  print({"bytes of the first lists", bytes, "MB", 0, 1000});
  print({"resident memory after that", resident, "MiB", 0, 128});
  print({"more than without pods", resident - idleMemory_, "MiB", 0, 64});
  print({"highest resident memory", highest, "MiB", 0, 1024});
  return true;
}

void Bench::minute(const std::string& which) {
  const auto requests = server_.audit().size();
  const auto bytes = relay_->bytesFromServer();
  const auto processor = agent_->cpuSeconds();
  std::this_thread::sleep_for(std::chrono::minutes(1));
  print(
      {"requests of " + which, static_cast<double>(server_.audit().size() - requests), "", 0, 100});
  print({"bytes from the server in " + which,
         static_cast<double>(relay_->bytesFromServer() - bytes), "B", 0, 1e6});
  print({"processor in " + which, 100 * (agent_->cpuSeconds() - processor) / 60, "% of a core", 0,
         0.1});
}

double Bench::kernelChanges() const {
  const auto entered = where_.enter();
  const auto text = testing::shell("curl -s http://127.0.0.1:9091/metrics").output;
  double sum = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("margay_dataplane_changes_total{"))
      sum += std::atof(line.c_str() + line.rfind(' '));
  return sum;
}

bool Bench::relist() {
  const auto changes = kernelChanges();
  const auto processor = agent_->cpuSeconds();
  const auto begin = Clock::now();
  const auto entered = where_.enter();
  const auto waited = testing::shell("MARGAY_RUN_DIR=" + (scratch_.path() / "run").string() + ' ' +
                                     MARGAYCTL + " wait --timeout 300s");
  if (waited.status != 0) {
    std::cerr << waited.output;
    return false;
  }
  print({"all lists again", secondsSince(begin), "s", 0, 60});
  print({"of that, the agent's own processor time", agent_->cpuSeconds() - processor, "s", 0, 60});
  print({"changes to the kernel by that", kernelChanges() - changes, "", 0, 0});
  print({"resident memory after that", agent_->memory("VmRSS"), "MiB", 0, 128});
  return true;
}

bool Bench::events(int count) {
  const auto entered = where_.enter();
  auto sets = dataplane::KernelIpsetDriver::open();
  if (!sets) return false;
  const auto has = [&](const std::string& set, const std::string& address) {
    const auto members = (*sets)->members(set);
    const auto wanted = Prefix::parseNetwork(address);
    return members && std::any_of(members->begin(), members->end(),
                                  [&](const auto& member) { return member.net == *wanted; });
  };
  // A pod of this node: each turn it is made with another address, and joins a group.
  std::vector<double> fromRequest;
  std::vector<double> fromAnswer;
  for (int i = 0; i < count; ++i) {
    const auto address = "10.64.0." + std::to_string(150 + i % 100);
    const auto name = "event-" + std::to_string(i);
    const json pod = {
        {"kind", "Pod"},
        {"metadata", {{"name", name}, {"namespace", "ns-0"}, {"labels", {{"app", "app-0"}}}}},
        {"spec", {{"nodeName", "node-0"}, {"containers", {{{"name", "c"}, {"image", "i"}}}}}}};
    const std::string pods = "/api/v1/namespaces/ns-0/pods";
    const auto path = pods + '/' + name;
    if (!send(server_, "POST", pods, pod)) return false;
    const json status = {
        {"status", {{"phase", "Running"}, {"podIP", address}, {"podIPs", {{{"ip", address}}}}}}};
    const auto begin = Clock::now();
    if (!send(server_, "PATCH", path + "/status", status, kMergePatch)) return false;
    const auto answered = secondsSince(begin);
    while (!has("mgy4-local", address)) {
      if (secondsSince(begin) > 10) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    fromRequest.push_back(secondsSince(begin) * 1e3);
    fromAnswer.push_back(std::max(0.0, fromRequest.back() - answered * 1e3));
    send(server_, "DELETE", path, {{"gracePeriodSeconds", 0}});
    while (has("mgy4-local", address) && secondsSince(begin) < 10)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const auto whole = percentiles(fromRequest);
  const auto own = percentiles(fromAnswer);
  const auto events = " (" + std::to_string(count) + " events)";
  print({"a pod gets its address, from the request to the kernel, p50" + events, whole.p50, "ms", 0,
         1000});
  print({"the same, p99", whole.p99, "ms", 0, 1000});
  print({"the same, from the server's answer to the kernel, p50", own.p50, "ms", 0, 1000});
  print({"the same, p99", own.p99, "ms", 0, 1000});
  return true;
}

void Bench::heartbeats(int count, int nodes) {
  const auto changes = kernelChanges();
  const auto processor = agent_->cpuSeconds();
  const auto bytes = relay_->bytesFromServer();
  for (int i = 0; i < count; ++i) {
    char when[32];
    std::snprintf(when, sizeof when, "2026-01-01T%02d:%02d:%02dZ", i / 3600 % 24, i / 60 % 60,
                  i % 60);
    send(server_, "PATCH", "/api/v1/nodes/node-" + std::to_string(i % nodes) + "/status",
         {{"status",
           {{"conditions",
             {{{"type", "Ready"}, {"status", "True"}, {"lastHeartbeatTime", when}}}}}}},
         "application/strategic-merge-patch+json");
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));
  print({"processor for a Node heartbeat (" + std::to_string(count) + " of them)",
         (agent_->cpuSeconds() - processor) * 1e6 / count, "us", 0, 500});
  print({"bytes for a Node heartbeat",
         static_cast<double>(relay_->bytesFromServer() - bytes) / count, "B", 0, 10000});
  print({"changes to the kernel by heartbeats", kernelChanges() - changes, "", 0, 0});
}

int run(int pods, int events) {
  const auto where = testing::NetworkNamespace::create();
  auto server = ApiServer::make();
  if (!where || !server) {
    std::cerr << (where ? "no kube-apiserver: run tests/kubernetes/build" : where.error().what)
              << '\n';
    return 1;
  }
  server->mustKubectl("apply -f " MARGAY_SOURCE_DIR "/manifests/margay.yaml");
  const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  Bench bench(*server, *where, home);
  if (!bench.idle()) return 1;
  const auto file = std::filesystem::path(server->directory()) / "cluster.json";
  writeCluster(file, pods);
  const auto began = Clock::now();
  if (!fill(*server, file)) return 1;
  std::cerr << "the server was filled in " << secondsSince(began) << " s\n";
  if (!bench.start(pods, 3)) return 1;
  bench.minute("the first minute after that");
  bench.minute("an idle minute");
  if (!bench.relist()) return 1;
  bench.heartbeats(1000, pods / 110 + 1);
  const bool done = bench.events(events);
  close(home);
  return done ? 0 : 1;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  return margay::bench::run(argc > 1 ? std::atoi(argv[1]) : 100000,
                            argc > 2 ? std::atoi(argv[2]) : 300);
}
