#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "api/codec/document_reader.h"
#include "api/file/object_decoder.h"
#include "base/hash.h"
#include "tests/dataplane/network_namespace.h"

/// The agent as a whole, in a network namespace of its own: start with a large cluster, memory
/// after that, and what an idle node costs. Prints one JSON object a line.
///   whole [PODS]     default 100000
namespace margay::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// 110 pods a node, 1,000 namespaces with ten deployments each and a policy, a tenth of it for
/// small clusters.
void writeCluster(const fs::path& file, int pods) {
  const int namespaces = pods >= 10000 ? 1000 : 20;
  std::ofstream out(file);
  out << "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n";
  const char* separator = "";
  const auto put = [&](const json& object) {
    out << separator << object.dump();
    separator = ",\n";
  };
  const auto cidr = [](int node) {
    return "10." + std::to_string(64 + node / 256) + '.' + std::to_string(node % 256) + '.';
  };
  for (int i = 0; i < namespaces; ++i) {
    const auto ns = "ns-" + std::to_string(i);
    put({{"apiVersion", "v1"},
         {"kind", "Namespace"},
         {"metadata", {{"name", ns}, {"labels", {{"team", "t" + std::to_string(i % 20)}}}}}});
    put({{"apiVersion", "networking.k8s.io/v1"},
         {"kind", "NetworkPolicy"},
         {"metadata", {{"name", "allow"}, {"namespace", ns}}},
         {"spec",
          {{"podSelector", {{"matchLabels", {{"app", "app-" + std::to_string(i % 10)}}}}},
           {"ingress",
            {{{"from",
               {{{"podSelector",
                  {{"matchLabels", {{"app", "app-" + std::to_string((i + 1) % 10)}}}}}}}},
              {"ports", {{{"protocol", "TCP"}, {"port", 8080}}}}}}}}}});
  }
  for (int node = 0; node <= pods / 110; ++node) {
    put({{"apiVersion", "v1"},
         {"kind", "Node"},
         {"metadata", {{"name", "node-" + std::to_string(node)}}},
         {"spec", {{"podCIDR", cidr(node) + "0/24"}}},
         {"status",
          {{"addresses",
            {{{"type", "InternalIP"},
              {"address",
               "172.16." + std::to_string(node / 256) + '.' + std::to_string(node % 256)}}}}}}});
  }
  for (int i = 0; i < pods; ++i) {
    const int deployment = (i / namespaces) % 10;
    const auto app = "app-" + std::to_string(deployment);
    const auto hash = contentHash(std::to_string(i % namespaces) + app, 10);
    const auto address = cidr(i / 110) + std::to_string(i % 110 + 2);
    put({{"apiVersion", "v1"},
         {"kind", "Pod"},
         {"metadata",
          {{"name", app + '-' + hash + '-' + contentHash(std::to_string(i), 5)},
           {"namespace", "ns-" + std::to_string(i % namespaces)},
           {"labels", {{"app", app}, {"pod-template-hash", hash}}}}},
         {"spec",
          {{"nodeName", "node-" + std::to_string(i / 110)},
           {"serviceAccountName", "default"},
           {"containers",
            {{{"name", "c"},
              {"image", "registry.example/app:1"},
              {"ports", {{{"name", "http"}, {"containerPort", 8080}}}}}}}}},
         {"status", {{"phase", "Running"}, {"podIP", address}, {"podIPs", {{{"ip", address}}}}}}});
  }
  out << "\n]}\n";
}

/// Reading and decoding the same bytes, and nothing else.
double readOnly(const fs::path& file) {
  const auto begin = Clock::now();
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  api::ObjectDecoder decoder;
  std::size_t objects = 0;
  const auto problem = api::readJson(fd, {}, [&](const api::DocumentPlace&, json& object) {
    objects += decoder.decode(object).value.has_value() ? 1 : 0;
  });
  close(fd);
  if (problem || objects == 0) std::cerr << "the generated input does not read\n";
  return secondsSince(begin);
}

class Agent {
 public:
  Agent(const testing::NetworkNamespace& where, const fs::path& directory) : directory_(directory) {
    const auto entered = where.enter();
    pid_ = fork();
    if (pid_ != 0) return;
    setenv("NODENAME", "node-0", 1);
    setenv("DATASTORE_TYPE", "file", 1);
    setenv("MARGAY_DATA_DIR", (directory / "data").c_str(), 1);
    setenv("MARGAY_RUN_DIR", (directory / "run").c_str(), 1);
    const int log = open((directory / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(log, 2);
    execl(MARGAY_NODE, "margay-node", nullptr);
    _exit(127);
  }
  ~Agent() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// The pass that follows "ready" says "converged".
  [[nodiscard]] bool converged() const {
    std::ifstream file(directory_ / "log");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return text.find(" converged ") != std::string::npos;
  }
  /// A line of /proc/PID/status in MiB.
  [[nodiscard]] double memory(const std::string& field) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(field + ':')) return std::stod(line.substr(field.size() + 1)) / 1024;
    }
    return 0;
  }
  [[nodiscard]] double cpuSeconds() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  fs::path directory_;
  pid_t pid_ = -1;
};

struct Started {
  std::unique_ptr<Agent> agent;
  double seconds = 0;
};

Started start(const testing::NetworkNamespace& where, const fs::path& directory) {
  const auto begin = Clock::now();
  Started out{std::make_unique<Agent>(where, directory), 0};
  while (!out.agent->converged() && secondsSince(begin) < 120)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  out.seconds = secondsSince(begin);
  return out;
}

void print(const std::string& work, double ours, const std::string& unit, double other,
           double goal) {
  json line = {{"work", work}, {"ours", ours}, {"unit", unit}, {"goal", goal}};
  if (other > 0) {
    line["reference"] = other;
    line["ratio"] = ours / other;
  }
  line["met"] = (other > 0 ? ours / other : ours) <= goal;
  std::cout << line.dump() << std::endl;
}

int run(int pods) {
  auto where = testing::NetworkNamespace::create();
  if (!where) {
    std::cerr << where.error().what << '\n';
    return 1;
  }
  char pattern[] = "/tmp/margay-bench-XXXXXX";
  const fs::path directory = mkdtemp(pattern);
  fs::create_directory(directory / "data");
  const auto file = directory / "data" / "cluster.json";

  writeCluster(file, pods);
  const auto reading = readOnly(file);
  {
    const auto started = start(*where, directory);
    print("start with " + std::to_string(pods) + " pods", started.seconds, "s", reading, 1.5);
    print("resident memory after that", started.agent->memory("VmRSS"), "MiB", 0, 64);
    print("highest resident memory", started.agent->memory("VmHWM"), "MiB", 0, 1024);
  }
  writeCluster(file, 110);
  {
    const auto started = start(*where, directory);
    const auto before = started.agent->cpuSeconds();
    const auto begin = Clock::now();
    while (secondsSince(begin) < 20) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    print("processor of an idle node with 110 pods",
          100 * (started.agent->cpuSeconds() - before) / secondsSince(begin), "% of a core", 0,
          0.1);
    print("resident memory of an idle node with 110 pods", started.agent->memory("VmRSS"), "MiB", 0,
          16);
  }
  fs::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  return margay::bench::run(argc > 1 ? std::atoi(argv[1]) : 100000);
}
