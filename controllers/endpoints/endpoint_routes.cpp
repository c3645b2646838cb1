#include "controllers/endpoints/endpoint_routes.h"

namespace margay::controllers {
namespace {

void addSysctls(const WorkloadInterface& interface, const EndpointOptions& options,
                dataplane::SysctlMap& sysctls) {
  const std::string v4 = "net/ipv4/conf/" + interface.device + '/';
  sysctls[v4 + "forwarding"] = "1";
  sysctls[v4 + "proxy_arp"] = "1";
  sysctls[v4 + "route_localnet"] = "1";
  // Source addresses are checked by rule, so strictness here follows the host.
  const bool mayUseOthers = !interface.endpoint->endpoint->details().allowedSources.empty();
  sysctls[v4 + "rp_filter"] = mayUseOthers ? "0" : options.defaultRpFilter;
  sysctls["net/ipv4/neigh/" + interface.device + "/proxy_delay"] = "0";
  if (!options.ipv6) return;
  const std::string v6 = "net/ipv6/conf/" + interface.device + '/';
  sysctls[v6 + "accept_ra"] = "0";
  sysctls[v6 + "forwarding"] = "1";
  sysctls[v6 + "proxy_ndp"] = "1";
}

dataplane::Route routeTo(const Prefix& address, const dataplane::IfName& device,
                         const EndpointOptions& options) {
  const bool v4 = address.family() == Family::V4;
  dataplane::Route route;
  route.key.destination = address;
  route.key.metric = v4 ? options.metricV4 : options.metricV6;
  route.scope = v4 ? dataplane::RouteScope::Link : dataplane::RouteScope::Universe;
  route.device = device;
  route.source = v4 ? options.sourceV4 : options.sourceV6;
  return route;
}

}  // namespace

EndpointTables endpointTables(std::span<const WorkloadInterface> interfaces,
                              const dataplane::LinkMap& links, const EndpointOptions& options) {
  EndpointTables tables;
  for (const WorkloadInterface& interface : interfaces) {
    const auto link = links.find(interface.device);
    if (link == links.end()) continue;
    addSysctls(interface, options, tables.sysctls);
    if (!link->second.up) continue;
    for (const Prefix& address : interface.addresses) {
      if (address.family() == Family::V6 && !options.ipv6) continue;
      dataplane::Route route = routeTo(address, interface.device, options);
      tables.routes.emplace(route.key, std::move(route));
      if (const auto& mac = interface.endpoint->endpoint->details().mac) {
        const dataplane::NeighbourKey key{interface.device, address.address};
        tables.neighbours.emplace(key, dataplane::Neighbour{key, *mac});
      }
    }
  }
  return tables;
}

}  // namespace margay::controllers
