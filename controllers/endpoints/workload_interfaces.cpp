#include "controllers/endpoints/workload_interfaces.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace margay::controllers {
namespace {

constexpr std::size_t kInterfaceNameBytes = 15;

bool isNameByte(char c) {
  return c > ' ' && c < '\x7f' && c != '/' && c != ':';
}

std::optional<std::string> nameProblem(const std::string& name,
                                       std::span<const std::string> prefixes) {
  if (name.empty()) return "has no interface name: set spec.interfaceName";
  if (name.size() > kInterfaceNameBytes) {
    return "interface name " + name + " has " + std::to_string(name.size()) +
           " bytes, at most 15 are possible: rename it";
  }
  if (!std::all_of(name.begin(), name.end(), isNameByte))
    return "interface name has bytes that no interface name can have: rename it";
  const auto begins = [&](const std::string& prefix) { return name.starts_with(prefix); };
  if (!std::any_of(prefixes.begin(), prefixes.end(), begins)) {
    return "interface name " + name +
           " begins with no workload prefix: rename it or add its prefix to InterfacePrefix";
  }
  return std::nullopt;
}

}  // namespace

api::ObjectKey keyOf(const api::WorkloadEndpoint& endpoint) {
  return {api::Kind::WorkloadEndpoint, endpoint.ns, endpoint.name.str()};
}

WorkloadInterfaces workloadInterfaces(
    std::span<const std::shared_ptr<const LocalEndpoint>> endpoints,
    std::span<const std::string> prefixes, std::span<const api::IPPool> pools) {
  std::vector<std::shared_ptr<const LocalEndpoint>> sorted(endpoints.begin(), endpoints.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return keyOf(*a->endpoint) < keyOf(*b->endpoint); });

  WorkloadInterfaces out;
  std::map<dataplane::IfName, api::ObjectKey> devices;
  std::map<Prefix, api::ObjectKey> addresses;
  using Severity = EndpointProblem::Severity;
  for (const auto& local : sorted) {
    const api::WorkloadEndpoint& endpoint = *local->endpoint;
    const api::ObjectKey key = keyOf(endpoint);
    const std::string& device = local->interfaceName;
    if (auto problem = nameProblem(device, prefixes)) {
      out.problems.push_back({key, Severity::Error, *problem});
      continue;
    }
    if (const auto [owner, fresh] = devices.emplace(device, key); !fresh) {
      out.problems.push_back({key, Severity::Error,
                              "interface " + device + " belongs to " + owner->second.str() +
                                  ": delete one of the two"});
      continue;
    }
    WorkloadInterface interface {
      device, local, {}
    };
    for (const Prefix& address : endpoint.addresses) {
      if (const auto [owner, fresh] = addresses.emplace(address, key); !fresh) {
        if (owner->second == key) continue;
        out.problems.push_back({key, Severity::Error,
                                "address " + address.str() + " belongs to " + owner->second.str() +
                                    ": delete one of the two"});
        continue;
      }
      interface.addresses.push_back(address);
      const auto contains = [&](const api::IPPool& pool) { return pool.cidr.contains(address); };
      if (!pools.empty() && std::none_of(pools.begin(), pools.end(), contains)) {
        out.problems.push_back(
            {key, Severity::Warning,
             "address " + address.str() +
                 " is in no IPPool: add a pool that contains it or change the address"});
      }
    }
    std::sort(interface.addresses.begin(), interface.addresses.end());
    out.interfaces.push_back(std::move(interface));
  }
  std::sort(out.interfaces.begin(), out.interfaces.end(),
            [](const auto& a, const auto& b) { return a.device < b.device; });
  std::sort(out.problems.begin(), out.problems.end());
  return out;
}

}  // namespace margay::controllers
