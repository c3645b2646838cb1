#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/clock.h"
#include "controllers/endpoints/endpoint_routes.h"
#include "controllers/endpoints/interface_table.h"
#include "controllers/nat/masquerade.h"
#include "controllers/node/address_sets.h"
#include "controllers/node/desired_change.h"
#include "controllers/node/family_groups.h"
#include "controllers/node/notices.h"
#include "controllers/node/programmed_interfaces.h"
#include "controllers/policy/dispatch.h"
#include "controllers/policy/engine.h"
#include "controllers/policy/evaluator.h"
#include "controllers/policy/rules.h"
#include "controllers/policy/static_chains.h"
#include "controllers/routing/node_routes.h"
#include "controllers/routing/remote_endpoint_routes.h"

namespace margay::controllers {

/// What the parameters say, in the controllers' terms.
struct NodeOptions {
  std::vector<Family> families{Family::V4, Family::V6};
  StaticOptions statics;
  EndpointOptions endpoints;
  NatOptions nat;
  std::uint32_t maxSetElements = 1048576;
  bool forwarding = true;      ///< IPForwarding
  bool routeWorkloads = true;  ///< RouteSyncDisabled is off
  bool nodeRouting = true;     ///< routes to other nodes' pods are ours to make
  bool operator==(const NodeOptions&) const = default;
};

/// Everything one node should have in its kernel, from the newest values of all objects and what is
/// known of its links. Pure: the caller brings events in any order and takes what changed. One
/// thread.
class NodeController {
 public:
  NodeController(std::string nodeName, NodeOptions options);

  void update(const api::Update& update);
  void setLinks(dataplane::LinkMap links, std::vector<dataplane::InterfaceAddress> addresses);
  void setOptions(NodeOptions options);

  /// What the updates since the last call changed. Cost follows what changed, not the size of the
  /// cluster.
  DesiredChange flush(TimePoint now);
  /// After a pass that left nothing pending: drops groups that nobody needs any more, with their
  /// sets.
  DesiredChange collect(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> nextCollect() const { return engine_.nextCollect(); }

  [[nodiscard]] const PolicyEngine& engine() const { return engine_; }
  [[nodiscard]] const NodeOptions& options() const { return options_; }
  /// The newest values of all objects, for the plain evaluator. O(objects).
  [[nodiscard]] Objects objects() const;
  /// Endpoints that cannot be programmed as they are, and routes that cannot be made.
  [[nodiscard]] std::vector<EndpointProblem> problems() const { return interfaces_.problems(); }
  [[nodiscard]] std::vector<SkippedRoute> skippedRoutes() const;
  /// As of the last flush; see `controllers::notices` for the cost.
  [[nodiscard]] std::vector<Notice> notices() const {
    return controllers::notices(others_, interfaces_.interfaces(), links_);
  }
  /// Another number whenever `notices` may say something else.
  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  [[nodiscard]] const std::vector<WorkloadInterface>& interfaces() const {
    return interfaces_.interfaces();
  }

 private:
  struct FamilyState {
    explicit FamilyState(Family which, const RuleOptions& rules)
        : family(which), groups(which, rules) {}
    Family family;
    FamilyGroups groups;
    std::map<dataplane::SetName, dataplane::SetSpec> dispatchSets;
    NatTables nat;
    std::vector<SharedSource> sharedSources;
    bool tablesDirty = true;
  };

  [[nodiscard]] bool useMaps() const { return options_.statics.dispatch == Dispatch::Maps; }
  DesiredChange apply(const PolicyDelta& delta);
  void applySets(const PolicyDelta& delta, DesiredChange& out);
  void applyAddressSets(const PolicyDelta& delta, FamilyState& state, DesiredChange& out);
  void applyGroups(const PolicyDelta& delta, DesiredChange& out);
  void applyDispatchSets(FamilyState& state, DesiredChange& out) const;
  void applyInterfaces(DesiredChange& out);
  [[nodiscard]] InterfaceContext interfaceContext() const;
  void applyNat(DesiredChange& out);
  void applyTables(DesiredChange& out);
  void applyNodeRoutes(DesiredChange& out);

  std::string nodeName_;
  NodeOptions options_;
  PolicyEngine engine_;
  std::vector<FamilyState> families_;

  Objects others_;  // all objects but endpoints, of which the engine has so many
  std::map<std::string, api::IPPool> pools_;
  std::map<std::string, api::Node> nodes_;
  dataplane::LinkMap links_;
  std::vector<dataplane::InterfaceAddress> addresses_;

  std::map<Family, AddressSets> addressSets_;  // with maps
  InterfaceTable interfaces_;
  std::set<Prefix> shared_;
  ProgrammedInterfaces programmed_;
  dataplane::RouteMap nodeRoutes_;
  RemoteEndpointRoutes remoteRoutes_;
  std::vector<SkippedRoute> skipped_;

  std::set<dataplane::IfName> linksChanged_;
  std::uint64_t revision_ = 0;
  bool started_ = false;
  bool layoutDirty_ = true;
  bool interfaceOptionsDirty_ = false;
  bool natDirty_ = true;
  bool routesDirty_ = true;
};

}  // namespace margay::controllers
