#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/agent/flow_purge.h"
#include "cmd/agent/rule_tables.h"
#include "cmd/agent/set_table.h"
#include "cmd/agent/sysctl_table.h"
#include "controllers/node/desired_change.h"
#include "dataplane/drivers.h"
#include "metrics/metrics.h"

namespace margay::agent {

struct RouteKeyHash {
  std::size_t operator()(const dataplane::RouteKey& key) const noexcept {
    return std::hash<Prefix>{}(key.destination) * 31 + std::size_t{key.table} * 7 + key.metric;
  }
};
struct NeighbourKeyHash {
  std::size_t operator()(const dataplane::NeighbourKey& key) const noexcept {
    return std::hash<Address>{}(key.address) * 31 + std::hash<std::string>{}(key.device);
  }
};

/// All kernel tables of a node with their drivers, in the order in which a phase visits them.
class Kernel {
 public:
  using RouteTable = reconcile::KeyedTable<dataplane::RouteKey, dataplane::Route, RouteKeyHash>;
  using NeighbourTable =
      reconcile::KeyedTable<dataplane::NeighbourKey, dataplane::Neighbour, NeighbourKeyHash>;

  struct Options {
    std::vector<Family> families;
    std::vector<std::string> interfacePrefixes;
    std::string sysctlJournal;  ///< empty: none is kept
    reconcile::TableOptions tables;
  };
  /// Opens the drivers in the network namespace of the calling thread. Errors say what the kernel
  /// lacks.
  static Result<std::unique_ptr<Kernel>> open(Options options);

  /// Takes over what changed in what should be. An error names a rule that no kernel could hold:
  /// the tables before it have been taken over, the others stay as they were.
  Result<void> apply(const controllers::DesiredChange& change);

  [[nodiscard]] const std::vector<reconcile::Table*>& tables() const { return all_; }
  [[nodiscard]] dataplane::LinkDriver& links() { return *links_; }
  [[nodiscard]] dataplane::NetworkMonitor& monitor() { return *monitor_; }
  [[nodiscard]] SysctlTableAdapter& sysctls() { return *sysctls_; }
  RouteTable& routes() { return *routes_; }
  NeighbourTable& neighbours() { return *neighbours_; }

  /// How often rules were written, one commit a table, since the start.
  [[nodiscard]] std::uint64_t ruleCommits() const;
  /// Adds what happened since the last call to the metrics.
  void report(metrics::Metrics& metrics);

 private:
  explicit Kernel(Options options);
  Result<void> openDrivers();
  void makeTables();

  struct Reported {
    reconcile::OpCounts changes;
    std::uint64_t drift = 0;
    std::uint64_t errors = 0;
    std::uint64_t commits = 0;
  };

  Options options_;
  reconcile::Jitter jitter_;
  std::unique_ptr<dataplane::RouteDriver> routeDriver_;
  std::unique_ptr<dataplane::NeighbourDriver> neighbourDriver_;
  std::unique_ptr<dataplane::LinkDriver> links_;
  std::unique_ptr<dataplane::SysctlDriver> sysctlDriver_;
  std::unique_ptr<dataplane::ConntrackDriver> conntrack_;
  std::unique_ptr<dataplane::NetworkMonitor> monitor_;
  std::unique_ptr<dataplane::IpsetDriver> setDriver_;
  std::unique_ptr<dataplane::RuleDriver> ruleDriver_;

  std::unique_ptr<FlowPurge> purge_;
  std::unique_ptr<SetTableAdapter> sets_;
  std::vector<std::unique_ptr<RuleTableAdapter>> rules_;
  std::unique_ptr<SysctlTableAdapter> sysctls_;
  std::unique_ptr<NeighbourTable> neighbours_;
  std::unique_ptr<RouteTable> routes_;
  std::vector<reconcile::Table*> all_;
  std::vector<Reported> reported_;  // by place in all_
};

}  // namespace margay::agent
