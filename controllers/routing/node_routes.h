#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/model/node.h"
#include "base/address.h"
#include "dataplane/model/network.h"

/// Routes to the pod CIDRs of other nodes where the nodes share a link, and the host's forwarding.
/// Pure; any thread.
namespace margay::controllers {

/// What could not be routed. Sorted by name, then reason.
struct SkippedRoute {
  std::string name;    ///< node, or "namespace/workload"
  std::string reason;  ///< "10.244.3.0/24: node address 192.0.2.9 is on no link of this host"
  auto operator<=>(const SkippedRoute&) const = default;
};

struct NodeRoutes {
  dataplane::RouteMap routes;
  std::vector<SkippedRoute> skipped;
};

/// Routes to the pod CIDRs of each other node, both families, by its address (Node::address) if
/// that is within the subnet of an address of ours, by the most specific such subnet. Metric 0, in
/// IPv6 1024, which is what the kernel makes of 0. Of two nodes that claim one CIDR the first by
/// name has it. O(CIDRs * log CIDRs + nodes * addresses).
[[nodiscard]] NodeRoutes nodeRoutes(std::span<const api::Node> nodes, const std::string& self,
                                    std::span<const dataplane::InterfaceAddress> addresses);

/// Host-wide settings that forwarding between workloads needs.
[[nodiscard]] dataplane::SysctlMap forwardingSysctls(std::span<const Family> families);

}  // namespace margay::controllers
