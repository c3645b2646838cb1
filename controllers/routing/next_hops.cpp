#include "controllers/routing/next_hops.h"

#include <algorithm>

namespace margay::controllers {

void NextHops::setAddresses(std::vector<dataplane::InterfaceAddress> addresses) {
  ours_ = std::move(addresses);
  hops_.clear();
}

void NextHops::forget(std::string_view node) {
  if (const auto found = hops_.find(node); found != hops_.end()) hops_.erase(found);
}

const NextHops::Hop& NextHops::to(const api::Node& node, Family family) {
  auto& ways = hops_[node.name];
  const auto found = ways.find(family);
  return found != ways.end() ? found->second
                             : ways.emplace(family, find(node, family)).first->second;
}

NextHops::Hop NextHops::find(const api::Node& node, Family family) const {
  const auto address = node.address(family);
  if (!address)
    return {nullptr,
            family == Family::V4 ? "node has no IPv4 address" : "node has no IPv6 address"};
  const dataplane::InterfaceAddress* best = nullptr;
  for (const auto& own : ours_) {
    if (own.address.address == *address)
      return {nullptr, "node address " + address->str() + " is an address of this host"};
    if (own.address.isHost() || !own.address.contains(*address)) continue;
    const bool better = best == nullptr || own.address.length > best->address.length ||
                        (own.address.length == best->address.length && own.device < best->device);
    if (better) best = &own;
  }
  if (best == nullptr)
    return {nullptr, "node address " + address->str() + " is on no link of this host"};
  return {share(NextHop{*address, best->device}), {}};
}

bool coversAddress(const api::Node& node, const Prefix& address) {
  return std::any_of(node.podCidrs.begin(), node.podCidrs.end(),
                     [&](const Prefix& cidr) { return cidr.contains(address); });
}

dataplane::Route routeBy(const NextHop& hop, const Prefix& destination, std::uint32_t metric) {
  dataplane::Route route;
  route.key.destination = destination;
  route.key.metric = metric;
  route.device = hop.device;
  route.gateway = hop.gateway;
  return route;
}

}  // namespace margay::controllers
