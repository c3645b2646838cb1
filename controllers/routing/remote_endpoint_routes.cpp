#include "controllers/routing/remote_endpoint_routes.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace margay::controllers {
namespace {

bool precedes(const api::WorkloadEndpoint& a, const api::WorkloadEndpoint& b) {
  return std::tie(a.ns, a.name) < std::tie(b.ns, b.name);
}
bool same(const api::WorkloadEndpoint& a, const api::WorkloadEndpoint& b) {
  return a.ns == b.ns && a.name == b.name;
}
bool equal(const Shared<NextHop>& a, const Shared<NextHop>& b) {
  return a == b || (a && b && *a == *b);
}
std::string nameOf(const api::WorkloadEndpoint& endpoint) {
  return endpoint.ns.str() + '/' + endpoint.workload();
}
dataplane::RouteKey keyFor(const Prefix& address) {
  dataplane::RouteKey key;
  key.destination = address;
  key.metric = kRemoteEndpointMetric;
  return key;
}

}  // namespace

void RemoteEndpointRoutes::replace(const EndpointPtr& before, const EndpointPtr& after,
                                   const Nodes& nodes) {
  if (before) remove(*before);
  if (after) add(after, nodes);
}

void RemoteEndpointRoutes::setAddresses(std::vector<dataplane::InterfaceAddress> addresses) {
  hops_.setAddresses(std::move(addresses));
  allTouched_ = true;
}

void RemoteEndpointRoutes::setFamilies(std::vector<Family> families) {
  families_ = std::move(families);
  allTouched_ = true;
}

void RemoteEndpointRoutes::add(const EndpointPtr& endpoint, const Nodes& nodes) {
  if (endpoint->node.view() == self_) return;
  const auto node = nodes.find(endpoint->node.str());
  for (const auto& address : endpoint->addresses) {
    if (node != nodes.end() && coversAddress(node->second, address)) continue;
    auto& owner = claims_[address].owner;
    touched_.push_back(address);
    if (!owner) {
      owner = endpoint;
    } else if (!same(*owner, *endpoint)) {
      auto rival = endpoint;
      if (precedes(*endpoint, *owner)) std::swap(owner, rival);
      rivals_.emplace(address, std::move(rival));
    }
  }
}

void RemoteEndpointRoutes::remove(const api::WorkloadEndpoint& endpoint) {
  if (endpoint.node.view() == self_) return;
  for (const auto& address : endpoint.addresses) {
    const auto claim = claims_.find(address);
    if (claim == claims_.end() || !claim->second.owner) continue;
    const auto [first, last] = rivals_.equal_range(address);
    if (!same(*claim->second.owner, endpoint)) {
      const auto mine = std::find_if(
          first, last, [&](const auto& rival) { return same(*rival.second, endpoint); });
      if (mine != last) rivals_.erase(mine);
      continue;
    }
    touched_.push_back(address);
    claim->second.owner = nullptr;
    const auto next = std::min_element(
        first, last, [](const auto& a, const auto& b) { return precedes(*a.second, *b.second); });
    if (next == last) continue;
    claim->second.owner = next->second;
    rivals_.erase(next);
  }
}

Shared<NextHop> RemoteEndpointRoutes::way(const Prefix& address, const Claim& claim,
                                          const Nodes& nodes) {
  if (!claim.owner) return nullptr;
  const auto node = nodes.find(claim.owner->node.str());
  const bool wanted =
      std::find(families_.begin(), families_.end(), address.family()) != families_.end();
  if (!wanted || node == nodes.end()) return nullptr;
  return hops_.to(node->second, address.family()).next;
}

void RemoteEndpointRoutes::applyClaim(const Prefix& address, const Nodes& nodes, Changes& out) {
  const auto claim = claims_.find(address);
  if (claim == claims_.end()) return;
  auto wanted = way(address, claim->second, nodes);
  auto& programmed = claim->second.programmed;
  if (!equal(programmed, wanted)) {
    if (wanted) {
      out.set.push_back(routeBy(*wanted, address, kRemoteEndpointMetric));
    } else {
      out.removed.push_back(keyFor(address));
    }
  }
  programmed = std::move(wanted);
  if (!claim->second.owner) claims_.erase(claim);
}

RemoteEndpointRoutes::Changes RemoteEndpointRoutes::apply(const Nodes& nodes,
                                                          const Endpoints& endpoints) {
  if (!nodesChanged_.empty()) {
    for (const auto& name : nodesChanged_) hops_.forget(name);
    endpoints([&](const EndpointPtr& endpoint) {
      if (nodesChanged_.contains(endpoint->node.view())) replace(endpoint, endpoint, nodes);
    });
    nodesChanged_.clear();
  }
  if (std::exchange(allTouched_, false)) {
    touched_.clear();
    touched_.reserve(claims_.size());
    for (const auto& [address, claim] : claims_) touched_.push_back(address);
  }
  Changes out;
  for (const auto& address : std::exchange(touched_, {})) applyClaim(address, nodes, out);
  return out;
}

std::vector<SkippedRoute> RemoteEndpointRoutes::skipped(const Nodes& nodes) const {
  std::vector<SkippedRoute> out;
  if (families_.empty()) return out;
  for (const auto& [address, claim] : claims_) {
    if (!claim.owner || claim.programmed) continue;
    const auto node = nodes.find(claim.owner->node.str());
    const auto why = node == nodes.end() ? "there is no Node " + claim.owner->node.str()
                                         : hops_.find(node->second, address.family()).why;
    if (!why.empty()) out.push_back({nameOf(*claim.owner), address.str() + ": " + why});
  }
  for (const auto& [address, rival] : rivals_) {
    const auto& owner = claims_.at(address).owner;
    if (nameOf(*owner) != nameOf(*rival))
      out.push_back({nameOf(*rival), address.str() + ": belongs to " + nameOf(*owner)});
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace margay::controllers
