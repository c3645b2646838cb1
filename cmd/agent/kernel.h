#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/agent/flow_purge.h"
#include "cmd/agent/host_accepts.h"
#include "cmd/agent/rule_backend.h"
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
    Backend backend = Backend::Legacy;
    std::vector<Family> families;
    std::vector<std::string> interfacePrefixes;
    std::string sysctlDir = "/proc/sys";
    std::string sysctlJournal;  ///< empty: none is kept
    FlowPurge::Thread purge = FlowPurge::Thread::Loop;
    reconcile::TableOptions tables;
  };
  /// Opens the drivers in the network namespace of the calling thread. Errors say what the kernel
  /// lacks.
  static Result<std::unique_ptr<Kernel>> open(Options options);

  /// Takes over what changed in what should be. An error names a rule that no kernel could hold:
  /// the tables before it have been taken over, the others stay as they were.
  Result<void> apply(const controllers::DesiredChange& change);

  [[nodiscard]] const std::vector<reconcile::Table*>& tables() const { return all_; }
  [[nodiscard]] RuleBackend& rules() { return *rules_; }
  [[nodiscard]] const RuleBackend& rules() const { return *rules_; }

  /// Rules and sets are another backend's from now on; the caller takes its tables from `tables()`,
  /// gives it everything that should be, and calls `beginSweep` when all that is in the kernel.
  /// Nothing changes on error.
  Result<void> switchTo(Backend backend);
  /// Opens the other backend, if it holds anything of ours, as one in which nothing should be: its
  /// tables, to be run until they have converged. Empty: there is nothing to sweep.
  /// Where others drop by policy, what `survey` says, the accepts of the backend that stays are
  /// not among what is swept.
  std::vector<reconcile::Table*> beginSweep(const dataplane::RuleSurvey& survey,
                                            const controllers::StaticOptions& options);
  /// Its tables are run no more.
  void endSweep();
  /// What to accept in chains of others that drop. Returns whether `tables()` are others than
  /// before.
  bool accept(const AcceptPlan& plan);
  [[nodiscard]] dataplane::LinkDriver& links() { return *links_; }
  [[nodiscard]] dataplane::NetworkMonitor& monitor() { return *monitor_; }
  [[nodiscard]] SysctlTableAdapter& sysctls() { return *sysctls_; }
  [[nodiscard]] const FlowPurge& purge() const { return *purge_; }
  RouteTable& routes() { return *routes_; }
  NeighbourTable& neighbours() { return *neighbours_; }

  /// Adds what happened since the last call to the metrics.
  void report(metrics::Metrics& metrics);

 private:
  explicit Kernel(Options options);
  Result<void> openDrivers();
  void makeTables();
  void order();
  Result<std::unique_ptr<RuleBackend>> openRules(Backend backend,
                                                 std::function<void(const Address&)> onLeft);
  void reportTable(metrics::Metrics& metrics, const std::string& name,
                   const reconcile::TableStatus& status);

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

  std::unique_ptr<FlowPurge> purge_;
  std::unique_ptr<RuleBackend> rules_;
  std::unique_ptr<RuleBackend> leaving_;  // holds what is to be swept
  std::unique_ptr<HostAccepts> accepts_;
  std::unique_ptr<SysctlTableAdapter> sysctls_;
  std::unique_ptr<NeighbourTable> neighbours_;
  std::unique_ptr<RouteTable> routes_;
  std::vector<RuleBackend::Entry> ruleTables_;  // of rules_ and accepts_
  std::vector<reconcile::Table*> all_;          // begins with those
  std::map<std::string, Reported> reported_;    // by name of table
};

}  // namespace margay::agent
