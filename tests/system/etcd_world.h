#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/api/etcd_server.h"
#include "tests/system/cluster.h"

namespace margay::system_tests {

struct EtcdShape {
  int members = 1;
  std::string certificates;  ///< a directory with those of api::test::Certificates; none: no TLS
};

/// A cluster whose hosts share nothing but a real etcd, which stands on their LAN.
class EtcdWorld {
 public:
  explicit EtcdWorld(const EtcdShape& shape = {});
  ~EtcdWorld();
  EtcdWorld(const EtcdWorld&) = delete;
  EtcdWorld& operator=(const EtcdWorld&) = delete;

  /// False where there is no etcd to run.
  [[nodiscard]] bool ready() const { return !members_.empty(); }
  [[nodiscard]] Cluster& cluster() { return cluster_; }
  /// The first member.
  [[nodiscard]] api::test::EtcdServer& etcd() { return *members_.front(); }
  /// (Again.) Those that do not run. Waits until all answer.
  void startEtcd();
  /// Only root, with this password, may do anything from now on.
  void switchOnUsers(const std::string& password);
  void setPassword(const std::string& password);
  /// Ends the leader, if it leads within a few seconds.
  void killLeader();
  /// Starts the agent of `host` on etcd; `extra` as in Host::start.
  void start(Host& host, Environment extra = {});
  /// What tells a program which datastore to use.
  [[nodiscard]] Environment environment() const;
  /// margayctl on `host`; `input` is its standard input.
  [[nodiscard]] ShellResult ctl(const Host& host, const std::string& arguments,
                                const std::string& input = {}) const;

  /// etcdctl, which writes and reads bytes as they are.
  void put(const std::string& key, const std::string& value) const;
  void remove(const std::string& key) const;
  /// Empty where there is none.
  [[nodiscard]] std::string get(const std::string& key) const;
  [[nodiscard]] nlohmann::json document(const std::string& key) const;
  /// Sorted.
  [[nodiscard]] std::vector<std::string> keys(const std::string& prefix) const;
  [[nodiscard]] ShellResult etcdctl(const std::string& arguments) const;

 private:
  [[nodiscard]] std::string endpoints() const;
  [[nodiscard]] ShellResult etcdctlAt(const std::string& endpoints,
                                      const std::string& arguments) const;

  Cluster cluster_;
  const EtcdShape shape_;
  api::test::EtcdServer::Members members_;
  std::string password_;
};

/// Fixture: an EtcdWorld with one host, whose agent is not started. Skips without root or etcd.
class EtcdTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  [[nodiscard]] virtual EtcdShape shape() { return {}; }
  EtcdWorld& world() { return *world_; }
  Host& host() { return *host_; }
  /// The status of the answer.
  std::string readiness();
  bool becomesReady(std::chrono::milliseconds patience = kPatience);
  bool logs(const std::string& text);
  std::vector<std::string> logLines(const std::string& with);

 private:
  std::unique_ptr<EtcdWorld> world_;
  Host* host_ = nullptr;
};

/// An object of Calico as its Go client writes it: fields in the order of its structures, nothing
/// that is empty, and no blanks.
namespace stored {
inline const std::string kPrefix = "/calico/resources/v3/projectcalico.org/";

struct Meta {
  std::string kind;
  std::string name;  ///< as stored
  std::string ns;
  std::string generateName;
  std::string labels;  ///< JSON
};
[[nodiscard]] std::string object(const Meta& meta, const std::string& spec);
/// What Calico's CNI plugin writes for a pod.
[[nodiscard]] std::string workloadEndpoint(const Pod& pod);
[[nodiscard]] std::string workloadEndpointKey(const Pod& pod);
/// The profile of a namespace, of kube-controllers; `labels` are those of the namespace.
[[nodiscard]] std::string namespaceProfile(const std::string& ns,
                                           const std::map<std::string, std::string>& labels);
/// The profile of a service account, of kube-controllers.
[[nodiscard]] std::string accountProfile(const std::string& ns, const std::string& name);
}  // namespace stored

}  // namespace margay::system_tests
