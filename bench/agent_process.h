#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/dataplane/network_namespace.h"

/// What benchmarks of the whole agent share.
namespace margay::bench {

using Clock = std::chrono::steady_clock;
[[nodiscard]] double secondsSince(Clock::time_point begin);

/// margay-node in a network namespace, on `directory`/data, until the end of its life. Named
/// node-0.
class AgentProcess {
 public:
  using Environment = std::map<std::string, std::string>;
  AgentProcess(const testing::NetworkNamespace& where, std::filesystem::path directory,
               const Environment& extra = {});
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  /// All is listed and in the kernel, in however many passes. False after five minutes.
  [[nodiscard]] bool waitReady() const;
  /// A line of /proc/PID/status in MiB.
  [[nodiscard]] double memory(const std::string& field) const;
  /// Of all its threads, as the scheduler counts it.
  [[nodiscard]] double cpuSeconds() const;
  [[nodiscard]] std::string log() const;
  /// Stops all its threads where they are.
  void pause() const;
  void resume() const;

 private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

/// A directory below /tmp with an empty data/, gone at the end of its life.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Puts a file into data/ in one step, as an editor or a tool should.
  void put(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// 110 pods a node, 1,000 namespaces with ten deployments each and a policy, a tenth of it for
/// small clusters. Pods of node-0 come first. A List in JSON.
void writeCluster(const std::filesystem::path& file, int pods);
/// Of the pods of node-0 in that cluster, on the host.
[[nodiscard]] std::vector<std::string> interfacesOfNode(int pods);

/// One line of JSON: {work, ours, unit}; with a goal also {goal, met}; with `reference` above zero
/// also {reference, ratio}, and the goal is then the ratio's.
struct Finding {
  std::string work;
  double ours = 0;
  std::string unit;
  double reference = 0;
  std::optional<double> goal = {};
};
void print(const Finding& finding);

}  // namespace margay::bench
