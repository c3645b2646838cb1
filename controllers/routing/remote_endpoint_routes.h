#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/model/endpoint.h"
#include "api/model/node.h"
#include "base/shared.h"
#include "controllers/routing/next_hops.h"
#include "controllers/routing/node_routes.h"
#include "dataplane/model/network.h"

namespace margay::controllers {

/// Metric of routes to single remote workloads: below the priority of a local workload's route.
inline constexpr std::uint32_t kRemoteEndpointMetric = 2048;

/// One route for each address of an endpoint of another node that no pod CIDR of its node covers,
/// by the way to that node. Of two endpoints that claim one address the first by namespace and name
/// has it. Holds the addresses that need such a route and nothing else. One thread.
class RemoteEndpointRoutes {
 public:
  using EndpointPtr = Shared<api::WorkloadEndpoint>;
  using Nodes = std::map<std::string, api::Node>;
  /// Calls its argument with every endpoint of the cluster.
  using Endpoints = std::function<void(const std::function<void(const EndpointPtr&)>&)>;

  /// No key is in both.
  struct Changes {
    std::vector<dataplane::RouteKey> removed;
    std::vector<dataplane::Route> set;
  };

  explicit RemoteEndpointRoutes(std::string self) : self_(std::move(self)) {}

  /// An endpoint changed: what it was (null: it is new) and what it is (null: it is gone).
  /// O(its addresses).
  void replace(const EndpointPtr& before, const EndpointPtr& after, const Nodes& nodes);
  /// A node came, went or changed.
  void noteNode(const std::string& name) { nodesChanged_.insert(name); }
  /// What the host's interfaces have changed.
  void setAddresses(std::vector<dataplane::InterfaceAddress> addresses);
  /// In which families there are routes; none: no routes at all.
  void setFamilies(std::vector<Family> families);

  /// What changed since the last call. Cost follows what changed; a node that changed
  /// costs a look at each endpoint, addresses or families at each address held.
  [[nodiscard]] Changes apply(const Nodes& nodes, const Endpoints& endpoints);

  /// As of the last `apply`; sorted. O(addresses held).
  [[nodiscard]] std::vector<SkippedRoute> skipped(const Nodes& nodes) const;

 private:
  struct Claim {
    EndpointPtr owner;           ///< null: nobody any more
    Shared<NextHop> programmed;  ///< the route that there is
  };

  void add(const EndpointPtr& endpoint, const Nodes& nodes);
  void remove(const api::WorkloadEndpoint& endpoint);
  [[nodiscard]] Shared<NextHop> way(const Prefix& address, const Claim& claim, const Nodes& nodes);
  void applyClaim(const Prefix& address, const Nodes& nodes, Changes& out);

  std::string self_;
  std::vector<Family> families_;
  NextHops hops_;
  std::unordered_map<Prefix, Claim> claims_;
  std::multimap<Prefix, EndpointPtr> rivals_;  // want an address that another one owns
  std::vector<Prefix> touched_;
  std::set<std::string, std::less<>> nodesChanged_;
  bool allTouched_ = false;
};

}  // namespace margay::controllers
