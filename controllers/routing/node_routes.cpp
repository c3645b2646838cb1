#include "controllers/routing/node_routes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "controllers/routing/next_hops.h"

namespace margay::controllers {
namespace {

/// Adds the route if nobody claimed its destination before.
void claim(NodeRoutes& out, std::map<Prefix, std::string>& owners, const std::string& name,
           const Prefix& destination, const NextHops::Hop& hop, std::uint32_t metric) {
  const auto [owner, fresh] = owners.emplace(destination, name);
  if (!fresh) {
    if (owner->second != name)
      out.skipped.push_back({name, destination.str() + ": belongs to " + owner->second});
    return;
  }
  if (!hop.next) {
    out.skipped.push_back({name, destination.str() + ": " + hop.why});
    return;
  }
  dataplane::Route route = routeBy(*hop.next, destination, metric);
  out.routes.emplace(route.key, std::move(route));
}

}  // namespace

NodeRoutes nodeRoutes(std::span<const api::Node> nodes, const std::string& self,
                      std::span<const dataplane::InterfaceAddress> addresses) {
  std::vector<const api::Node*> sorted;
  for (const api::Node& node : nodes) sorted.push_back(&node);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });

  NodeRoutes out;
  NextHops hops;
  hops.setAddresses({addresses.begin(), addresses.end()});
  std::map<Prefix, std::string> owners;
  for (const api::Node* node : sorted) {
    if (node->name != self) continue;
    for (const Prefix& cidr : node->podCidrs) owners.emplace(cidr.masked(), self);
  }
  for (const api::Node* node : sorted) {
    if (node->name == self) continue;
    for (const Prefix& cidr : node->podCidrs) {
      const std::uint32_t metric = cidr.family() == Family::V4 ? 0 : 1024;
      claim(out, owners, node->name, cidr.masked(), hops.to(*node, cidr.family()), metric);
    }
  }
  std::sort(out.skipped.begin(), out.skipped.end());
  return out;
}

dataplane::SysctlMap forwardingSysctls(std::span<const Family> families) {
  dataplane::SysctlMap sysctls;
  for (const Family family : families) {
    sysctls.emplace(family == Family::V4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding",
                    "1");
  }
  return sysctls;
}

}  // namespace margay::controllers
