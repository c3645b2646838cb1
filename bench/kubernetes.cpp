#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "bench/agent_process.h"
#include "bench/kubernetes_cluster.h"
#include "bench/kubernetes_flows.h"
#include "bench/node_network.h"
#include "bench/percentiles.h"
#include "dataplane/ipset_driver.h"
#include "tests/api/relay.h"

/// The agent on a real Kubernetes API with a large cluster: its start, what it asks the server for
/// and how much that is, packets while it lists everything again, from a change at the server to
/// the kernel, what heartbeats of nodes cost, and how soon it notices that the server hangs. Prints
/// one JSON object a line; fails if a packet of an allowed flow is lost or one of a denied flow
/// gets through. Needs root and tests/kubernetes/build.
///   kubernetes [PODS [EVENTS [IDLE MINUTES]]]     default 100000, 300 and 10
namespace margay::bench {
namespace {

using nlohmann::json;
using testing::ApiServer;

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
  void idle(int minutes);
  bool relist(Flows& flows);
  bool events(int count);
  void heartbeats(int count, int nodes);
  bool hang();

 private:
  /// What the agent has used and asked for up to now.
  struct Use {
    double requests = 0;
    double bytes = 0;
    double processor = 0;
  };
  [[nodiscard]] Use use() const {
    return {static_cast<double>(server_.audit().size()),
            static_cast<double>(relay_->bytesFromServer()), agent_->cpuSeconds()};
  }
  /// The sum of all series whose line begins so.
  [[nodiscard]] double metric(const std::string& series) const;
  /// How often the agent has changed anything in the kernel.
  [[nodiscard]] double kernelChanges() const { return metric("margay_dataplane_changes_total{"); }
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
  auto begin = Clock::now();
  std::size_t requests = 0;
  for (int i = 0; i < starts; ++i) {
    agent_.reset();
    requests = server_.audit().size();
    begin = Clock::now();
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
  std::this_thread::sleep_until(begin + std::chrono::minutes(1));
  const auto first = use();
  const std::string which = " in the first minute, with the first lists";
  print({"requests" + which, first.requests - static_cast<double>(requests), "", 0, 1000});
  print({"bytes from the server" + which, first.bytes / 1e6, "MB", 0, 1000});
  print({"processor" + which, first.processor, "s", 0, 60});
  print({"resident memory after it", agent_->memory("VmRSS"), "MiB", 0, 128});
  return true;
}

void Bench::idle(int minutes) {
  const auto before = use();
  std::this_thread::sleep_for(std::chrono::minutes(minutes));
  const auto after = use();
  const auto which = " in " + std::to_string(minutes) + " minutes without changes";
  print({"requests" + which, after.requests - before.requests, "", 0, 20.0 * minutes});
  print({"bytes from the server" + which, after.bytes - before.bytes, "B", 0, 1e5 * minutes});
  print({"processor" + which, 100 * (after.processor - before.processor) / (60.0 * minutes),
         "% of a core", 0, 0.1});
}

double Bench::metric(const std::string& series) const {
  const auto entered = where_.enter();
  const auto text = testing::shell("curl -s http://127.0.0.1:9091/metrics").output;
  double sum = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series)) sum += std::atof(line.c_str() + line.rfind(' '));
  return sum;
}

bool Bench::relist(Flows& flows) {
  flows.begin();
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
  const bool whole = flows.end();
  print({"all lists again", secondsSince(begin), "s", 0, 60});
  print({"of that, the agent's own processor time", agent_->cpuSeconds() - processor, "s", 0, 60});
  print({"changes to the kernel by that", kernelChanges() - changes, "", 0, 0});
  std::this_thread::sleep_for(std::chrono::seconds(10));  // it gives memory back after five
  print({"resident memory after that", agent_->memory("VmRSS"), "MiB", 0, 128});
  return whole;
}

bool Bench::hang() {
  server_.freeze();
  const auto begin = Clock::now();
  const auto connected = [this] { return metric("margay_datastore_connected{") > 0; };
  while (connected() && secondsSince(begin) < 700)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  print({"a server that hangs is noticed", secondsSince(begin), "s", 0, 90});
  server_.thaw();
  const auto thawed = Clock::now();
  while (!connected() && secondsSince(thawed) < 60)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  print({"and that it goes on", secondsSince(thawed), "s", 0, 20});
  return connected();
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
    const auto path = podPath("ns-0", name);
    if (!schedulePod(server_, "ns-0", name)) return false;
    const auto begin = Clock::now();
    if (!givePodAddress(server_, "ns-0", name, address)) return false;
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

int run(int pods, int events, int minutes) {
  const auto node = NodeNetwork::make(interfacesOfNode(pods));
  if (!node) return 1;
  const auto& where = node->host;
  auto server = ApiServer::make();
  if (!server) {
    std::cerr << "no kube-apiserver: run tests/kubernetes/build\n";
    return 1;
  }
  server->mustKubectl("apply -f " MARGAY_SOURCE_DIR "/manifests/margay.yaml");
  const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  Bench bench(*server, where, home);
  if (!bench.idle()) return 1;
  const auto file = std::filesystem::path(server->directory()) / "cluster.json";
  writeCluster(file, pods);
  const auto began = Clock::now();
  if (!fill(*server, file)) return 1;
  std::cerr << "the server was filled in " << secondsSince(began) << " s\n";
  const auto flows = Flows::on(*server, where);
  if (!flows || !bench.start(pods, 3)) return 1;
  bench.idle(minutes);
  bool done = bench.relist(*flows);
  bench.heartbeats(1000, pods / 110 + 1);
  done = bench.events(events) && done;
  done = bench.hang() && done;
  close(home);
  return done ? 0 : 1;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  const auto number = [&](int at, int otherwise) {
    return argc > at ? std::atoi(argv[at]) : otherwise;
  };
  return margay::bench::run(number(1, 100000), number(2, 300), number(3, 10));
}
