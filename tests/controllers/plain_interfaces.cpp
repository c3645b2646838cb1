#include "tests/controllers/plain_interfaces.h"

#include <algorithm>
#include <map>

namespace margay::controllers {

PlainInterfaces plainInterfaces(std::span<const std::shared_ptr<const LocalEndpoint>> endpoints,
                                std::span<const std::string> prefixes,
                                std::span<const api::IPPool> pools) {
  std::vector<std::shared_ptr<const LocalEndpoint>> sorted(endpoints.begin(), endpoints.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return keyOf(*a->endpoint) < keyOf(*b->endpoint); });

  PlainInterfaces out;
  std::map<dataplane::IfName, api::ObjectKey> devices;
  std::map<Prefix, api::ObjectKey> addresses;
  using Severity = EndpointProblem::Severity;
  for (const auto& local : sorted) {
    const api::WorkloadEndpoint& endpoint = *local->endpoint;
    const api::ObjectKey key = keyOf(endpoint);
    const std::string& device = local->interfaceName;
    if (auto problem = interfaceNameProblem(device, prefixes)) {
      out.problems.push_back({key, Severity::Error, "spec.interfaceName", *problem});
      continue;
    }
    if (const auto [owner, fresh] = devices.emplace(device, key); !fresh) {
      out.problems.push_back({key, Severity::Error, "spec.interfaceName",
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
        out.problems.push_back({key, Severity::Error, "spec.ipNetworks",
                                "address " + address.str() + " belongs to " + owner->second.str() +
                                    ": delete one of the two"});
        continue;
      }
      interface.addresses.push_back(address);
      const auto contains = [&](const api::IPPool& pool) { return pool.cidr.contains(address); };
      if (!pools.empty() && std::none_of(pools.begin(), pools.end(), contains)) {
        out.problems.push_back(
            {key, Severity::Warning, "spec.ipNetworks",
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
