#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/api/etcd_server.h"
#include "tests/system/cluster.h"

namespace margay::system_tests {

/// A cluster whose hosts share nothing but a real etcd, which stands on their LAN.
class EtcdWorld {
 public:
  EtcdWorld();
  ~EtcdWorld();
  EtcdWorld(const EtcdWorld&) = delete;
  EtcdWorld& operator=(const EtcdWorld&) = delete;

  /// False where there is no etcd to run.
  [[nodiscard]] bool ready() const { return etcd_ != nullptr; }
  [[nodiscard]] Cluster& cluster() { return cluster_; }
  [[nodiscard]] api::test::EtcdServer& etcd() { return *etcd_; }
  /// (Again.) Waits until it answers.
  void startEtcd();
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
  Cluster cluster_;
  std::unique_ptr<api::test::EtcdServer> etcd_;
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
