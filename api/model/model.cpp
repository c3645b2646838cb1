#include <algorithm>
#include <array>
#include <type_traits>

#include "api/model/object.h"
#include "base/hash.h"

namespace margay::api {
namespace {

template <class T>
bool sameList(const Shared<std::vector<T>>& a, const Shared<std::vector<T>>& b) {
  if (a == b) return true;
  static const std::vector<T> kEmpty;
  return (a ? *a : kEmpty) == (b ? *b : kEmpty);
}

void appendDoubled(std::string& out, std::string_view part) {
  for (const char c : part) {
    if (c == '-') out += '-';
    out += c;
  }
}

}  // namespace

std::string_view kindText(Kind kind) {
  switch (kind) {
    case Kind::WorkloadEndpoint:
      return "WorkloadEndpoint";
    case Kind::HostEndpoint:
      return "HostEndpoint";
    case Kind::Profile:
      return "Profile";
    case Kind::Tier:
      return "Tier";
    case Kind::NetworkPolicy:
      return "NetworkPolicy";
    case Kind::GlobalNetworkPolicy:
      return "GlobalNetworkPolicy";
    case Kind::KubernetesNetworkPolicy:
      return "KubernetesNetworkPolicy";
    case Kind::ClusterNetworkPolicy:
      return "ClusterNetworkPolicy";
    case Kind::AdminNetworkPolicy:
      return "AdminNetworkPolicy";
    case Kind::BaselineAdminNetworkPolicy:
      return "BaselineAdminNetworkPolicy";
    case Kind::NetworkSet:
      return "NetworkSet";
    case Kind::GlobalNetworkSet:
      return "GlobalNetworkSet";
    case Kind::IPPool:
      return "IPPool";
    case Kind::FelixConfiguration:
      return "FelixConfiguration";
    case Kind::Node:
      return "Node";
    case Kind::ClusterInformation:
      return "ClusterInformation";
    case Kind::Service:
      return "Service";
    case Kind::EndpointSlice:
      return "EndpointSlice";
    case Kind::Pod:
      return "Pod";
    case Kind::Namespace:
      return "Namespace";
    case Kind::ServiceAccount:
      return "ServiceAccount";
    case Kind::Unknown:
      break;
  }
  return "Unknown";
}

std::optional<Tier> builtInTier(std::string_view name) {
  if (name == "default") return Tier{std::string(name), kDefaultTierOrder, TierDefault::Deny};
  if (name == kAdminTier || name == kOlderAdminTier)
    return Tier{std::string(name), 1'000, TierDefault::Pass};
  if (name == kBaselineTier || name == kOlderBaselineTier)
    return Tier{std::string(name), 10'000'000, TierDefault::Pass};
  return std::nullopt;
}

std::string ObjectKey::str() const {
  std::string out(kindText(kind));
  out += ' ';
  if (!ns.empty()) out.append(ns.view()).append("/");
  return out + name;
}

std::string EndpointIdentity::name() const {
  return workloadEndpointName(node, orchestrator, workload, endpoint);
}

std::string workloadEndpointName(std::string_view node, std::string_view orchestrator,
                                 std::string_view workload, std::string_view endpoint) {
  std::string out;
  out.reserve(node.size() + orchestrator.size() + workload.size() + endpoint.size() + 16);
  appendDoubled(out, node);
  out += '-';
  appendDoubled(out, orchestrator);
  out += '-';
  appendDoubled(out, workload);
  out += '-';
  appendDoubled(out, endpoint);
  return out;
}

std::optional<EndpointIdentity> EndpointIdentity::parse(std::string_view name) {
  std::array<std::string, 4> parts;
  std::size_t part = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '-') {
      parts[part] += name[i];
    } else if (i + 1 < name.size() && name[i + 1] == '-') {
      parts[part] += name[i++];
    } else if (++part == parts.size()) {
      return std::nullopt;
    }
  }
  if (part + 1 != parts.size()) return std::nullopt;
  return EndpointIdentity{std::move(parts[0]), std::move(parts[1]), std::move(parts[2]),
                          std::move(parts[3])};
}

EndpointAddresses::EndpointAddresses(std::vector<Prefix> sorted) : one_{} {
  // So that `count` may be read from either.
  static_assert(std::is_standard_layout_v<One> && std::is_standard_layout_v<Many>);
  if (sorted.size() > 1) {
    sorted.shrink_to_fit();
    new (&many_) Many{kMany, share(std::move(sorted))};
  } else if (!sorted.empty()) {
    one_ = {1, sorted.front()};
  }
}

bool WorkloadEndpoint::operator==(const WorkloadEndpoint& other) const {
  return ns == other.ns && name == other.name && node == other.node &&
         addresses == other.addresses && labels == other.labels &&
         sameList(profiles, other.profiles) && sameList(ports, other.ports) &&
         (details_ == other.details_ || details() == other.details());
}

const EndpointDetails& WorkloadEndpoint::details() const {
  static const EndpointDetails kNone;
  return details_ ? *details_ : kNone;
}

void WorkloadEndpoint::setDetails(EndpointDetails details) {
  details_ = details == EndpointDetails{} ? nullptr : share(std::move(details));
}

EndpointIdentity WorkloadEndpoint::identity() const {
  if (const auto& own = details().identity) return *own;
  if (auto parsed = EndpointIdentity::parse(name)) return std::move(*parsed);
  return {.node = node.str(), .orchestrator = {}, .workload = name.str(), .endpoint = {}};
}

std::string interfaceNameOf(const WorkloadEndpoint& endpoint, std::string_view prefix) {
  const auto& given = endpoint.details().interfaceName;
  if (!given.empty()) return given;
  return std::string(prefix) + sha1Hex(endpoint.ns.str() + '.' + endpoint.workload()).substr(0, 11);
}

std::optional<Address> Node::address(Family family) const {
  const auto& bgp = family == Family::V4 ? bgpAddress4 : bgpAddress6;
  if (bgp) return bgp->address;
  const auto found = std::find_if(internalAddresses.begin(), internalAddresses.end(),
                                  [&](const Address& a) { return a.family() == family; });
  if (found == internalAddresses.end()) return std::nullopt;
  return *found;
}

}  // namespace margay::api
