#include "controllers/endpoints/interface_table.h"

#include <algorithm>
#include <utility>

namespace margay::controllers {
namespace {

using Severity = EndpointProblem::Severity;

constexpr auto kInterfaceField = "spec.interfaceName";
constexpr auto kAddressField = "spec.ipNetworks";

auto placeOf(auto& interfaces, const dataplane::IfName& device) {
  return std::lower_bound(interfaces.begin(), interfaces.end(), device,
                          [](const WorkloadInterface& held, const dataplane::IfName& name) {
                            return held.device < name;
                          });
}

}  // namespace

void InterfaceTable::setPrefixes(std::vector<std::string> prefixes) {
  if (prefixes == prefixes_) return;
  prefixes_ = std::move(prefixes);
  const auto all = endpoints_;
  for (const auto& [key, endpoint] : all) set(endpoint);
}

void InterfaceTable::setPools(std::vector<api::IPPool> pools) {
  if (pools == pools_) return;
  pools_ = std::move(pools);
  for (const auto& [device, claims] : devices_) stale_.insert(device);
}

void InterfaceTable::set(std::shared_ptr<const LocalEndpoint> endpoint) {
  const auto key = keyOf(*endpoint->endpoint);
  remove(key);
  const auto device = endpoint->interfaceName;
  endpoints_.emplace(key, std::move(endpoint));
  if (auto problem = interfaceNameProblem(device, prefixes_)) {
    problems_[key] = {{key, Severity::Error, kInterfaceField, std::move(*problem)}};
  } else {
    claim(key, device);
  }
}

void InterfaceTable::remove(const api::ObjectKey& key) {
  const auto endpoint = endpoints_.find(key);
  if (endpoint == endpoints_.end()) return;
  unclaim(key, endpoint->second->interfaceName);
  endpoints_.erase(key);
}

void InterfaceTable::claim(const api::ObjectKey& key, const dataplane::IfName& device) {
  stale_.insert(device);
  auto& claims = devices_[device];
  const bool first = claims.empty() || key < *claims.begin();
  if (first && !claims.empty()) unclaimAddresses(*claims.begin());
  claims.insert(key);
  if (first) claimAddresses(key);
}

void InterfaceTable::unclaim(const api::ObjectKey& key, const dataplane::IfName& device) {
  problems_.erase(key);
  const auto claims = devices_.find(device);
  if (claims == devices_.end() || !claims->second.contains(key)) return;
  stale_.insert(device);
  const bool first = *claims->second.begin() == key;
  if (first) unclaimAddresses(key);
  claims->second.erase(key);
  if (claims->second.empty()) {
    devices_.erase(claims);
  } else if (first) {
    claimAddresses(*claims->second.begin());
  }
}

void InterfaceTable::claimAddresses(const api::ObjectKey& key) {
  for (const Prefix& address : endpoints_.at(key)->endpoint->addresses) {
    addresses_[address].insert(key);
    touch(address);
  }
}

void InterfaceTable::unclaimAddresses(const api::ObjectKey& key) {
  for (const Prefix& address : endpoints_.at(key)->endpoint->addresses) {
    touch(address);
    const auto claims = addresses_.find(address);
    if (claims == addresses_.end()) continue;
    claims->second.erase(key);
    if (claims->second.empty()) addresses_.erase(claims);
  }
}

/// Whoever claims the address may have it now, or no longer.
void InterfaceTable::touch(const Prefix& address) {
  const auto claims = addresses_.find(address);
  if (claims == addresses_.end()) return;
  for (const auto& key : claims->second) stale_.insert(endpoints_.at(key)->interfaceName);
}

std::set<dataplane::IfName> InterfaceTable::takeChanges() {
  std::set<dataplane::IfName> changed;
  for (const auto& device : std::exchange(stale_, {})) rebuild(device, changed);
  return changed;
}

void InterfaceTable::rebuild(const dataplane::IfName& device,
                             std::set<dataplane::IfName>& changed) {
  const auto place = placeOf(interfaces_, device);
  const bool known = place != interfaces_.end() && place->device == device;
  const auto claims = devices_.find(device);
  if (claims == devices_.end()) {
    if (!known) return;
    interfaces_.erase(place);
    changed.insert(device);
    return;
  }
  const auto& owner = *claims->second.begin();
  for (const auto& key : claims->second) {
    problems_.erase(key);
    if (key == owner) continue;
    problems_[key] = {
        {key, Severity::Error, kInterfaceField,
         "interface " + device + " belongs to " + owner.str() + ": delete one of the two"}};
  }
  auto now = built(device, owner);
  if (known && *place == now) return;
  changed.insert(device);
  if (known) {
    *place = std::move(now);
  } else {
    interfaces_.insert(place, std::move(now));
  }
}

WorkloadInterface InterfaceTable::built(const dataplane::IfName& device,
                                        const api::ObjectKey& key) {
  WorkloadInterface out{device, endpoints_.at(key), {}};
  auto wanted = std::vector<Prefix>(out.endpoint->endpoint->addresses.begin(),
                                    out.endpoint->endpoint->addresses.end());
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  for (const Prefix& address : wanted) {
    const auto& owner = *addresses_.at(address).begin();
    if (owner == key) {
      out.addresses.push_back(address);
      checkPools(key, address);
    } else {
      problems_[key].push_back(
          {key, Severity::Error, kAddressField,
           "address " + address.str() + " belongs to " + owner.str() + ": delete one of the two"});
    }
  }
  return out;
}

void InterfaceTable::checkPools(const api::ObjectKey& key, const Prefix& address) {
  const auto contains = [&](const api::IPPool& pool) { return pool.cidr.contains(address); };
  if (pools_.empty() || std::any_of(pools_.begin(), pools_.end(), contains)) return;
  problems_[key].push_back({key, Severity::Warning, kAddressField,
                            "address " + address.str() +
                                " is in no IPPool: add a pool that contains it or change the "
                                "address"});
}

const WorkloadInterface* InterfaceTable::find(const dataplane::IfName& device) const {
  const auto place = placeOf(interfaces_, device);
  return place != interfaces_.end() && place->device == device ? &*place : nullptr;
}

std::vector<EndpointProblem> InterfaceTable::problems() const {
  std::vector<EndpointProblem> out;
  for (const auto& [key, problems] : problems_)
    out.insert(out.end(), problems.begin(), problems.end());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace margay::controllers
