#include "controllers/routing/node_routes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace margay::controllers {
namespace {

struct NextHop {
  Address gateway;
  dataplane::IfName device;
};

/// The way to `address` over a link of ours, or no value and why not.
std::optional<NextHop> linkTo(const Address& address,
                              std::span<const dataplane::InterfaceAddress> ours, std::string& why) {
  const dataplane::InterfaceAddress* best = nullptr;
  for (const dataplane::InterfaceAddress& own : ours) {
    if (own.address.address == address) {
      why = "node address " + address.str() + " is an address of this host";
      return std::nullopt;
    }
    if (own.address.isHost() || !own.address.contains(address)) continue;
    const bool better = best == nullptr || own.address.length > best->address.length ||
                        (own.address.length == best->address.length && own.device < best->device);
    if (better) best = &own;
  }
  if (best == nullptr) {
    why = "node address " + address.str() + " is on no link of this host";
    return std::nullopt;
  }
  return NextHop{address, best->device};
}

/// The way to a node in each family, found once a node.
class Hops {
 public:
  Hops(std::span<const api::Node> nodes, std::span<const dataplane::InterfaceAddress> ours)
      : ours_(ours) {
    for (const api::Node& node : nodes) nodes_.emplace(node.name, &node);
  }

  [[nodiscard]] const api::Node* node(std::string_view name) const {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : found->second;
  }

  struct Hop {
    std::optional<NextHop> next;
    std::string why;
  };
  const Hop& to(const api::Node& node, Family family) {
    const auto [at, fresh] = hops_.try_emplace({node.name, family});
    if (!fresh) return at->second;
    if (const auto address = node.address(family)) {
      at->second.next = linkTo(*address, ours_, at->second.why);
    } else {
      at->second.why =
          family == Family::V4 ? "node has no IPv4 address" : "node has no IPv6 address";
    }
    return at->second;
  }

 private:
  std::span<const dataplane::InterfaceAddress> ours_;
  std::map<std::string_view, const api::Node*> nodes_;
  std::map<std::pair<std::string_view, Family>, Hop> hops_;
};

dataplane::Route routeBy(const NextHop& hop, const Prefix& destination, std::uint32_t metric) {
  dataplane::Route route;
  route.key.destination = destination;
  route.key.metric = metric;
  route.device = hop.device;
  route.gateway = hop.gateway;
  return route;
}

/// Adds the route if nobody claimed its destination before.
void claim(NodeRoutes& out, std::map<Prefix, std::string>& owners, const std::string& name,
           const Prefix& destination, const Hops::Hop& hop, std::uint32_t metric) {
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

bool covers(const api::Node& node, const Prefix& address) {
  return std::any_of(node.podCidrs.begin(), node.podCidrs.end(),
                     [&](const Prefix& cidr) { return cidr.contains(address); });
}

}  // namespace

NodeRoutes nodeRoutes(std::span<const api::Node> nodes, const std::string& self,
                      std::span<const dataplane::InterfaceAddress> addresses) {
  std::vector<const api::Node*> sorted;
  for (const api::Node& node : nodes) sorted.push_back(&node);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });

  NodeRoutes out;
  Hops hops(nodes, addresses);
  std::map<Prefix, std::string> owners;
  if (const api::Node* own = hops.node(self)) {
    for (const Prefix& cidr : own->podCidrs) owners.emplace(cidr.masked(), self);
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

NodeRoutes remoteEndpointRoutes(
    std::span<const std::shared_ptr<const api::WorkloadEndpoint>> endpoints,
    std::span<const api::Node> nodes, const std::string& self,
    std::span<const dataplane::InterfaceAddress> addresses) {
  NodeRoutes out;
  Hops hops(nodes, addresses);
  std::vector<const api::WorkloadEndpoint*> sorted;
  for (const auto& endpoint : endpoints) {
    if (endpoint->node.view() != self) sorted.push_back(endpoint.get());
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tie(a->ns, a->name) < std::tie(b->ns, b->name);
  });

  std::map<Prefix, std::string> owners;
  for (const api::WorkloadEndpoint* endpoint : sorted) {
    const std::string name = endpoint->ns.str() + '/' + endpoint->workload();
    const api::Node* node = hops.node(endpoint->node.view());
    for (const Prefix& address : endpoint->addresses) {
      if (node == nullptr) {
        out.skipped.push_back({name, address.str() + ": there is no Node " + endpoint->node.str()});
      } else if (!covers(*node, address)) {
        claim(out, owners, name, address, hops.to(*node, address.family()), kRemoteEndpointMetric);
      }
    }
  }
  std::sort(out.skipped.begin(), out.skipped.end());
  return out;
}

dataplane::SysctlMap forwardingSysctls(std::span<const Family> families) {
  dataplane::SysctlMap sysctls;
  for (const Family family : families) {
    sysctls[family == Family::V4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"] = "1";
  }
  return sysctls;
}

}  // namespace margay::controllers
