#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "api/model/network_set.h"
#include "controllers/endpoints/workload_interface.h"

namespace margay::controllers {

/// Which interface and addresses each local endpoint has, once conflicts are settled. Endpoints go
/// by key, and the first to claim an interface or an address has it: a second claim of an interface
/// leaves the endpoint out, one of an address leaves that address out; both are errors. An address
/// in no pool is a warning, unless there is no pool at all. Where it ends depends on the last
/// values only, not on the way there. A change costs O(addresses * (log endpoints + pools)) of the
/// endpoints that it concerns. One thread.
class InterfaceTable {
 public:
  /// Of FELIX_INTERFACEPREFIX. Looks at every endpoint again.
  void setPrefixes(std::vector<std::string> prefixes);
  /// Looks at every endpoint again.
  void setPools(std::vector<api::IPPool> pools);
  void set(std::shared_ptr<const LocalEndpoint> endpoint);
  void remove(const api::ObjectKey& key);

  /// Interfaces that came, went or changed since the last call.
  [[nodiscard]] std::set<dataplane::IfName> takeChanges();

  /// As of the last takeChanges; by device.
  [[nodiscard]] const std::vector<WorkloadInterface>& interfaces() const { return interfaces_; }
  /// As of the last takeChanges; null if there is none. O(log interfaces).
  [[nodiscard]] const WorkloadInterface* find(const dataplane::IfName& device) const;
  /// As of the last takeChanges; sorted. O(problems log problems).
  [[nodiscard]] std::vector<EndpointProblem> problems() const;

 private:
  using Claims = std::set<api::ObjectKey>;

  void claim(const api::ObjectKey& key, const dataplane::IfName& device);
  void unclaim(const api::ObjectKey& key, const dataplane::IfName& device);
  void claimAddresses(const api::ObjectKey& key);
  void unclaimAddresses(const api::ObjectKey& key);
  void touch(const Prefix& address);
  void rebuild(const dataplane::IfName& device, std::set<dataplane::IfName>& changed);
  [[nodiscard]] WorkloadInterface built(const dataplane::IfName& device, const api::ObjectKey& key);
  void checkPools(const api::ObjectKey& key, const Prefix& address);

  std::vector<std::string> prefixes_;
  std::vector<api::IPPool> pools_;
  std::map<api::ObjectKey, std::shared_ptr<const LocalEndpoint>> endpoints_;
  std::map<dataplane::IfName, Claims> devices_;  // of names that are possible
  std::map<Prefix, Claims> addresses_;           // of endpoints that have their interface
  std::set<dataplane::IfName> stale_;
  std::vector<WorkloadInterface> interfaces_;
  std::map<api::ObjectKey, std::vector<EndpointProblem>> problems_;
};

}  // namespace margay::controllers
