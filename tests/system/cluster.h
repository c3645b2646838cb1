#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/base/eventually.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/system/probe.h"

/// Two or more hosts as network namespaces on one bridge, one data directory, margay-node on each
/// host, pods as further namespaces wired as a CNI plugin does. All of it ends with the object.
namespace margay::system_tests {

using testing::eventually;
using testing::ShellResult;
using Environment = std::map<std::string, std::string>;

class Host {
 public:
  Host(std::string name, const std::filesystem::path& directory);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const NetworkNamespace& ns() const { return *ns_; }
  [[nodiscard]] From from() const { return {&*ns_, {}, 0}; }

  /// Starts margay-node in the background. `extra` adds to and overrides the usual environment.
  void start(const Environment& extra = {});
  /// Runs margay-node with these arguments to its end.
  ShellResult agent(const std::string& arguments, const Environment& extra = {});
  /// SIGTERM, and waits; the exit code.
  int stop();
  void kill();
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] std::string log() const;
  [[nodiscard]] std::filesystem::path runDir() const { return directory_ / "run" / name_; }

  ShellResult ctl(const std::string& arguments, const Environment& extra = {}) const;
  /// `margayctl wait`; fails the test with the agent's log if it does not converge.
  void converge() const;
  /// JSON of `margayctl ARGUMENTS -o json`.
  [[nodiscard]] nlohmann::json json(const std::string& arguments) const;
  /// A shell command in the host's namespace.
  ShellResult sh(const std::string& command) const;
  [[nodiscard]] std::string mustSh(const std::string& command) const;
  /// Value of a series as written in /metrics, such as `margay_endpoints{scope="local"}`; 0 if it
  /// is not there.
  [[nodiscard]] double metric(const std::string& series) const;
  /// Every series of /metrics with its value; empty while the agent does not answer.
  [[nodiscard]] std::map<std::string, double> metrics() const;

 private:
  [[nodiscard]] std::string environmentText(const Environment& extra) const;
  std::string name_;
  std::filesystem::path directory_;
  std::optional<NetworkNamespace> ns_;
  Environment lastExtra_;
  int pid_ = -1;
};

struct PodSpec {
  std::string name;
  std::string ns = "default";
  std::vector<std::string> addresses;
  std::map<std::string, std::string> labels;
  std::string serviceAccount = "default";
  std::string ports;        ///< YAML of containers[0].ports, "[{name: http, containerPort: 80}]"
  std::string annotations;  ///< YAML flow mapping
  /// "02:00:00:00:00:01": the interface has it, and the manifest is a WorkloadEndpoint which says
  /// so, without what only a Pod has; empty: the kernel's choice, and a Pod.
  std::string mac;
};

class Pod {
 public:
  Pod(Host& host, PodSpec spec);
  [[nodiscard]] const NetworkNamespace& ns() const { return ns_; }
  [[nodiscard]] From from() const { return {&ns_, {}, 0}; }
  [[nodiscard]] Address address(Family family = Family::V4) const;
  [[nodiscard]] const PodSpec& spec() const { return spec_; }
  [[nodiscard]] const std::string& device() const { return device_; }  ///< on the host
  [[nodiscard]] Host& host() const { return *host_; }
  [[nodiscard]] std::string manifest() const;
  [[nodiscard]] std::string manifestFile() const;
  ShellResult sh(const std::string& command) const;
  /// Removes the interface, both ends; the namespace stays.
  void unwire();
  /// Makes the interface (again), under the same name.
  void wire();
  void relabel(std::map<std::string, std::string> labels) { spec_.labels = std::move(labels); }

 private:
  [[nodiscard]] std::string endpointManifest() const;
  Host* host_;
  PodSpec spec_;
  std::string device_;
  NetworkNamespace ns_;
};

class Cluster {
 public:
  Cluster();
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// A host on the LAN with 172.30.0.N/24 and fd30::N/64 and its Node manifest with pod
  /// CIDRs 10.65.N.0/24 and fd65:0:0:N::/64; N counts from 1. Its agent is not started.
  Host& addHost(const std::string& name);
  [[nodiscard]] static Address hostAddress(int n, Family family = Family::V4);
  /// A namespace, wired to `host`, with its manifest in the data directory.
  Pod& addPod(Host& host, PodSpec spec);
  void removePod(Pod& pod);
  /// Writes the manifest of a Pod again, after a change.
  void rewrite(const Pod& pod);
  /// Namespace manifests with their labels; each pod needs the one of its namespace.
  void addNamespace(const std::string& name, const std::map<std::string, std::string>& labels = {});

  /// Puts a manifest into the data directory, at once (write and rename).
  void apply(const std::string& file, const std::string& text);
  void remove(const std::string& file);
  /// All hosts with a running agent have what is in the data directory.
  void converge() const;
  [[nodiscard]] std::filesystem::path dataDir() const { return directory_ / "data"; }
  [[nodiscard]] std::filesystem::path directory() const { return directory_; }
  [[nodiscard]] const NetworkNamespace& lan() const { return *lan_; }

 private:
  std::filesystem::path directory_;
  std::optional<NetworkNamespace> lan_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Pod>> pods_;
};

/// Fixture: skips without root; `cluster` is fresh for each test.
class SystemTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  Cluster& cluster() { return *cluster_; }

 private:
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace margay::system_tests
