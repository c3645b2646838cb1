#include "bench/agent_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/hash.h"
#include "bench/node_network.h"

namespace margay::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kPodsOfNode = 110;

std::string textOf(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string podCidrStart(int node) {
  return "10." + std::to_string(64 + node / 256) + '.' + std::to_string(node % 256) + '.';
}

json namespaceOf(int number) {
  return {{"apiVersion", "v1"},
          {"kind", "Namespace"},
          {"metadata",
           {{"name", "ns-" + std::to_string(number)},
            {"labels", {{"team", "t" + std::to_string(number % 20)}}}}}};
}

json policyOf(int number) {
  const auto app = [](int i) { return json{{"app", "app-" + std::to_string(i % 10)}}; };
  return {{"apiVersion", "networking.k8s.io/v1"},
          {"kind", "NetworkPolicy"},
          {"metadata", {{"name", "allow"}, {"namespace", "ns-" + std::to_string(number)}}},
          {"spec",
           {{"podSelector", {{"matchLabels", app(number)}}},
            {"ingress",
             {{{"from", {{{"podSelector", {{"matchLabels", app(number + 1)}}}}}},
               {"ports", {{{"protocol", "TCP"}, {"port", 8080}}}}}}}}}};
}

json nodeOf(int number) {
  const auto address =
      "172.16." + std::to_string((number + 1) / 256) + '.' + std::to_string((number + 1) % 256);
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", "node-" + std::to_string(number)}}},
          {"spec", {{"podCIDR", podCidrStart(number) + "0/24"}}},
          {"status", {{"addresses", {{{"type", "InternalIP"}, {"address", address}}}}}}};
}

int namespacesFor(int pods) {
  return pods >= 10000 ? 1000 : 20;
}

json podOf(int number, int namespaces) {
  const auto app = "app-" + std::to_string((number / namespaces) % 10);
  const auto hash = contentHash(std::to_string(number % namespaces) + app, 10);
  const auto address =
      podCidrStart(number / kPodsOfNode) + std::to_string(number % kPodsOfNode + 2);
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", app + '-' + hash + '-' + contentHash(std::to_string(number), 5)},
            {"namespace", "ns-" + std::to_string(number % namespaces)},
            {"labels", {{"app", app}, {"pod-template-hash", hash}}}}},
          {"spec",
           {{"nodeName", "node-" + std::to_string(number / kPodsOfNode)},
            {"serviceAccountName", "default"},
            {"containers",
             {{{"name", "c"},
               {"image", "registry.example/app:1"},
               {"ports", {{{"name", "http"}, {"containerPort", 8080}}}}}}}}},
          {"status", {{"phase", "Running"}, {"podIP", address}, {"podIPs", {{{"ip", address}}}}}}};
}

}  // namespace

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void writeCluster(const fs::path& file, int pods) {
  const int namespaces = namespacesFor(pods);
  std::ofstream out(file);
  out << "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n";
  const char* separator = "";
  const auto put = [&](const json& object) {
    out << separator << object.dump();
    separator = ",\n";
  };
  for (int i = 0; i < namespaces; ++i) {
    put(namespaceOf(i));
    put(policyOf(i));
  }
  for (int node = 0; node <= pods / kPodsOfNode; ++node) put(nodeOf(node));
  for (int i = 0; i < pods; ++i) put(podOf(i, namespaces));
  out << "\n]}\n";
}

std::vector<std::string> interfacesOfNode(int pods) {
  std::vector<std::string> out;
  for (int i = 0; i < std::min(pods, kPodsOfNode); ++i) {
    const auto pod = podOf(i, namespacesFor(pods))["metadata"];
    out.push_back(interfaceOf(pod["namespace"], pod["name"]));
  }
  return out;
}

AgentProcess::AgentProcess(const testing::NetworkNamespace& where, fs::path directory,
                           const Environment& extra)
    : directory_(std::move(directory)) {
  fs::remove(directory_ / "log");
  const auto entered = where.enter();
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // a benchmark that is interrupted leaves no agent
  setenv("NODENAME", "node-0", 1);
  setenv("DATASTORE_TYPE", "file", 1);
  setenv("MARGAY_DATA_DIR", (directory_ / "data").c_str(), 1);
  setenv("MARGAY_RUN_DIR", (directory_ / "run").c_str(), 1);
  for (const auto& [name, value] : extra) setenv(name.c_str(), value.c_str(), 1);
  const int log = open((directory_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(log, 2);
  execl(MARGAY_NODE, "margay-node", nullptr);
  _exit(127);
}

AgentProcess::~AgentProcess() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

std::string AgentProcess::log() const {
  return textOf(directory_ / "log");
}

bool AgentProcess::waitReady() const {
  const auto begin = Clock::now();
  while (log().find(" ready ") == std::string::npos) {
    if (secondsSince(begin) > 300) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

double AgentProcess::memory(const std::string& field) const {
  std::istringstream lines(textOf("/proc/" + std::to_string(pid_) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(field + ':')) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

void AgentProcess::pause() const {
  kill(pid_, SIGSTOP);
  while (textOf("/proc/" + std::to_string(pid_) + "/stat").find(") T ") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}
void AgentProcess::resume() const {
  kill(pid_, SIGCONT);
}

double AgentProcess::cpuSeconds() const {
  double nanoseconds = 0;
  for (const auto& thread : fs::directory_iterator("/proc/" + std::to_string(pid_) + "/task"))
    nanoseconds += std::atof(textOf(thread.path() / "schedstat").c_str());
  return nanoseconds / 1e9;
}

ScratchDirectory::ScratchDirectory() {
  char pattern[] = "/tmp/margay-bench-XXXXXX";
  path_ = mkdtemp(pattern);
  fs::create_directory(path_ / "data");
}
ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void ScratchDirectory::put(const std::string& name, const std::string& text) const {
  const auto made = path_ / "data" / ('.' + name);
  std::ofstream(made) << text;
  fs::rename(made, path_ / "data" / name);
}

void print(const Finding& finding) {
  json line = {{"work", finding.work}, {"ours", finding.ours}, {"unit", finding.unit}};
  auto held = finding.ours;
  if (finding.reference > 0) {
    held = finding.ours / finding.reference;
    line["reference"] = finding.reference;
    line["ratio"] = held;
  }
  if (finding.goal) {
    line["goal"] = *finding.goal;
    line["met"] = held <= *finding.goal;
  }
  std::cout << line.dump() << std::endl;
}

}  // namespace margay::bench
