#include <algorithm>

#include "api/model/object.h"
#include "base/hash.h"

namespace margay::api {
namespace {

template <class T>
bool sameList(const std::shared_ptr<const std::vector<T>>& a,
              const std::shared_ptr<const std::vector<T>>& b) {
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

std::string ObjectKey::str() const {
  std::string out(kindText(kind));
  out += ' ';
  if (!ns.empty()) out.append(ns.view()).append("/");
  return out + name;
}

bool WorkloadEndpoint::operator==(const WorkloadEndpoint& other) const {
  return ns == other.ns && name == other.name && node == other.node &&
         orchestrator == other.orchestrator && workload == other.workload &&
         endpoint == other.endpoint && interfaceName == other.interfaceName && mac == other.mac &&
         addresses == other.addresses && labels == other.labels &&
         sameList(profiles, other.profiles) && sameList(ports, other.ports) &&
         allowedSources == other.allowedSources;
}

std::string interfaceNameOf(const WorkloadEndpoint& endpoint, std::string_view prefix) {
  if (!endpoint.interfaceName.empty()) return endpoint.interfaceName;
  return std::string(prefix) + sha1Hex(endpoint.ns.str() + '.' + endpoint.workload).substr(0, 11);
}

std::string workloadEndpointName(std::string_view node, std::string_view orchestrator,
                                 std::string_view workload, std::string_view endpoint) {
  std::string out;
  appendDoubled(out, node);
  out += '-';
  appendDoubled(out, orchestrator);
  out += '-';
  appendDoubled(out, workload);
  out += '-';
  appendDoubled(out, endpoint);
  return out;
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
