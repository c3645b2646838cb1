#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/address.h"
#include "controllers/endpoints/workload_interface.h"
#include "dataplane/model/network.h"

/// What a workload's interface needs of the host's network stack. Pure; any thread.
namespace margay::controllers {

struct EndpointOptions {
  std::uint32_t metricV4 = 1024;      ///< IPv4NormalRoutePriority
  std::uint32_t metricV6 = 1024;      ///< IPv6NormalRoutePriority
  std::optional<Address> sourceV4;    ///< DeviceRouteSourceAddress
  std::optional<Address> sourceV6;    ///< DeviceRouteSourceAddressIPv6
  std::string defaultRpFilter = "1";  ///< net/ipv4/conf/default/rp_filter of the host
  bool ipv6 = true;                   ///< IPv6Support, and the kernel has it
  bool operator==(const EndpointOptions&) const = default;
};

struct EndpointTables {
  dataplane::RouteMap routes;
  dataplane::NeighbourMap neighbours;
  dataplane::SysctlMap sysctls;
  bool operator==(const EndpointTables&) const = default;
};

/// Routes to each address by its interface, and permanent neighbours of endpoints with a MAC: for
/// interfaces that are up, because the kernel takes them only then. Sysctls for interfaces that
/// exist: proxy ARP and NDP, forwarding, route_localnet (the host answers for workloads, and NAT to
/// loopback works), no router advertisements, and no reverse path filter where allowedSources says
/// that other addresses may send.
[[nodiscard]] EndpointTables endpointTables(std::span<const WorkloadInterface> interfaces,
                                            const dataplane::LinkMap& links,
                                            const EndpointOptions& options);

}  // namespace margay::controllers
