#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/codec/document_reader.h"
#include "api/file/object_decoder.h"
#include "bench/agent_process.h"
#include "bench/node_network.h"

/// The agent as a whole, in a network namespace of its own: start with a large cluster, memory
/// after that, and what an idle node costs. Prints one JSON object a line.
///   whole [PODS [STARTS]]     default 100000 and 3; of the starts the fastest counts, each of them
///   with nothing of ours in the kernel before
namespace margay::bench {
namespace {

/// Reading and decoding the same bytes, and nothing else.
double readOnly(const std::filesystem::path& file) {
  const auto begin = Clock::now();
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  api::ObjectDecoder decoder;
  std::size_t objects = 0;
  const auto problem =
      api::readJson(fd, {}, [&](const api::DocumentPlace&, nlohmann::json& object) {
        objects += decoder.decode(object).value.has_value() ? 1 : 0;
      });
  close(fd);
  if (problem || objects == 0) std::cerr << "the generated input does not read\n";
  return secondsSince(begin);
}

bool becomesReady(const AgentProcess& agent) {
  const bool ready = agent.waitReady();
  if (!ready) std::cerr << "the agent does not become ready\n" << agent.log();
  return ready;
}

bool largeCluster(const ScratchDirectory& directory, int pods, int starts) {
  const auto file = directory.path() / "data" / "cluster.json";
  writeCluster(file, pods);
  double reading = 1e9;
  double starting = 1e9;
  double resident = 0;
  double highest = 0;
  for (int i = 0; i < starts; ++i) {
    const auto node = NodeNetwork::make(interfacesOfNode(pods));
    if (!node) return false;
    reading = std::min(reading, readOnly(file));
    const auto begin = Clock::now();
    const AgentProcess agent(node->host, directory.path());
    if (!becomesReady(agent)) return false;
    starting = std::min(starting, secondsSince(begin));
    resident = std::max(resident, agent.memory("VmRSS"));
    highest = std::max(highest, agent.memory("VmHWM"));
  }
  print({"start with " + std::to_string(pods) + " pods", starting, "s", reading, 1.5});
  print({"resident memory after that", resident, "MiB", 0, 64});
  print({"highest resident memory", highest, "MiB"});
  return true;
}

bool idleNode(const ScratchDirectory& directory) {
  writeCluster(directory.path() / "data" / "cluster.json", 110);
  const auto node = NodeNetwork::make(interfacesOfNode(110));
  if (!node) return false;
  const AgentProcess agent(node->host, directory.path());
  if (!becomesReady(agent)) return false;
  const auto before = agent.cpuSeconds();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(60));
  print({"processor of an idle node with 110 pods",
         100 * (agent.cpuSeconds() - before) / secondsSince(begin), "% of a core", 0, 0.1});
  print({"resident memory of an idle node with 110 pods", agent.memory("VmRSS"), "MiB", 0, 16});
  return true;
}

int run(int pods, int starts) {
  const ScratchDirectory directory;
  return largeCluster(directory, pods, starts) && idleNode(directory) ? 0 : 1;
}

}  // namespace
}  // namespace margay::bench

int main(int argc, char** argv) {
  return margay::bench::run(argc > 1 ? std::atoi(argv[1]) : 100000,
                            argc > 2 ? std::atoi(argv[2]) : 3);
}
