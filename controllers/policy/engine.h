#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/clock.h"
#include "base/shared.h"
#include "controllers/policy/membership.h"
#include "controllers/policy/model.h"

namespace margay::controllers {

/// Which node the engine computes for.
struct PolicyEngineConfig {
  std::string nodeName;
  std::string interfacePrefix;  ///< of workload interfaces whose endpoint does not name one
};

/// A policy as `margayctl inspect policies` shows it.
struct PolicyView {
  api::ObjectKey key;
  std::string name;  ///< "namespace/name" or "name"
  Shared<api::Policy> policy;
  bool active = false;  ///< selects a local endpoint
  RuleListPtr ingress;
  RuleListPtr egress;
};

struct GroupView {
  GroupPtr group;
  std::vector<api::ObjectKey> members;  ///< sorted; none while it stays for the next one
};

struct PolicyCounts {
  std::size_t localEndpoints = 0;
  std::size_t clusterEndpoints = 0;
  std::size_t activePolicies = 0;
  std::size_t policies = 0;
};

/// Computes, from the objects of the datastore, which policies apply to the workloads of one node,
/// the sets that their rules need, and the groups that workloads fall into; and says what changed.
/// The outcome depends on the newest value of each object only, never on the order or number of
/// updates; groups that became empty are the exception, and stay until `collect`. Pure: no I/O, no
/// clock, no thread. One thread.
class PolicyEngine {
 public:
  explicit PolicyEngine(PolicyEngineConfig config);
  ~PolicyEngine();
  PolicyEngine(const PolicyEngine&) = delete;
  PolicyEngine& operator=(const PolicyEngine&) = delete;

  /// The newest value of a key, or that it is gone. Kinds that are no business of policy are
  /// ignored. The namespace and name inside the value are those of the key. Microseconds, except
  /// for what touches many endpoints at once (labels of a profile).
  void update(const api::Update& update);

  /// What changed since the flush before. `now` begins the time of groups that became empty. Sets
  /// that disappear are in the delta of the pass that needs them no more.
  [[nodiscard]] PolicyDelta flush(TimePoint now);
  /// As `flush`, and lets go of empty groups that are obsolete (some policy or profile in them has
  /// other rules now) or have been empty for kEmptyGroupStays, with the sets that only they used.
  /// For after a pass that converged.
  [[nodiscard]] PolicyDelta collect(TimePoint now);
  /// When `collect` would let something go, possibly in the past; none while there is nothing.
  [[nodiscard]] std::optional<TimePoint> nextCollect() const;

  /// The state as of the last flush, sorted by key, id or hash.
  [[nodiscard]] std::vector<std::shared_ptr<const LocalEndpoint>> endpoints() const;
  [[nodiscard]] std::vector<Membership::View> sets() const;
  [[nodiscard]] std::vector<PolicyView> policies() const;
  [[nodiscard]] std::vector<GroupView> groups() const;
  /// As of the last flush. O(1).
  [[nodiscard]] PolicyCounts counts() const;
  /// The newest value; null if there is none.
  [[nodiscard]] Shared<api::WorkloadEndpoint> endpoint(const api::ObjectKey& key) const;
  /// Every endpoint of the cluster, in no particular order. O(endpoints).
  void forEachEndpoint(
      const std::function<void(const Shared<api::WorkloadEndpoint>&)>& visit) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace margay::controllers
