#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// A routing table that behaves as the kernel does behind the driver
/// (tests/dataplane/route_contract_test holds it against the kernel). What is public besides the
/// driver is the world around it.
class FakeRouteDriver final : public dataplane::RouteDriver, public CallFailures {
 public:
  /// Devices that exist and are up; addresses make gateways reachable.
  void addDevice(const dataplane::IfName& name) { devices_.insert(name); }
  void removeDevice(const dataplane::IfName& name) {
    devices_.erase(name);
    std::erase_if(routes_, [&](const auto& entry) { return entry.second.device == name; });
    std::erase_if(connected_, [&](const auto& entry) { return entry.second == name; });
  }
  void addAddress(const dataplane::IfName& device, const Prefix& address) {
    connected_[address.masked()] = device;
  }
  /// A route that somebody else owns.
  void addForeign(const dataplane::Route& route, std::uint8_t protocol) {
    foreign_[stored(route.key)] = {route, protocol};
  }
  [[nodiscard]] bool hasForeign(const dataplane::RouteKey& key) const {
    return foreign_.count(stored(key)) != 0;
  }
  [[nodiscard]] const dataplane::RouteMap& routes() const { return routes_; }
  /// As if somebody had removed it behind our back.
  void lose(const dataplane::RouteKey& key) { routes_.erase(stored(key)); }

  Result<dataplane::RouteMap> list() override {
    if (auto error = nextCall()) return Fail(*error);
    return routes_;
  }

  std::vector<Result<void>> apply(std::span<const Change<dataplane::Route>> changes) override {
    std::vector<Result<void>> results;
    results.reserve(changes.size());
    for (const auto& change : changes) {
      auto error = nextCall();
      results.push_back(error ? Result<void>(Fail(*error)) : applyOne(change));
    }
    return results;
  }

 private:
  static dataplane::RouteKey stored(dataplane::RouteKey key) {
    if (key.destination.family() == Family::V6 && key.metric == 0) key.metric = 1024;
    return key;
  }

  Result<void> applyOne(const Change<dataplane::Route>& change) {
    dataplane::Route route = change.value;
    route.key = stored(route.key);
    const std::string what = "route " + route.key.destination.str();
    if (change.op == Op::Remove) {
      routes_.erase(route.key);
      return {};
    }
    if (!route.device.empty() && devices_.count(route.device) == 0) {
      return fail(Errc::NotFound, what + ": no device " + route.device, ENODEV);
    }
    if (const auto foreign = foreign_.find(route.key); foreign != foreign_.end()) {
      return fail(Errc::Invalid, what + ": protocol " + std::to_string(foreign->second.second),
                  EEXIST);
    }
    if (route.gateway && !route.onLink) {
      const auto connected =
          std::find_if(connected_.begin(), connected_.end(), [&](const auto& entry) {
            return entry.first.contains(*route.gateway) &&
                   (route.device.empty() || route.device == entry.second);
          });
      if (connected == connected_.end()) {
        return fail(Errc::Transient, what + ": gateway is not reachable", ENETUNREACH);
      }
      route.device = connected->second;
    }
    if (route.key.destination.family() == Family::V6) route.scope = dataplane::RouteScope::Universe;
    routes_[route.key] = route;
    return {};
  }

  std::set<dataplane::IfName> devices_;
  std::map<Prefix, dataplane::IfName> connected_;
  dataplane::RouteMap routes_;
  std::map<dataplane::RouteKey, std::pair<dataplane::Route, std::uint8_t>> foreign_;
};

}  // namespace margay::testing
