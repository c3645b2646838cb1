#pragma once

#include <chrono>
#include <map>
#include <span>
#include <string>

#include "api/config/parameters.h"
#include "controllers/endpoints/workload_interface.h"
#include "dataplane/model/network.h"

/// What Felix keeps in etcd about a node that works, under the same keys and with the same fields.
/// Pure; any thread.
namespace margay::agent {

struct FelixStatusOptions {
  std::string node;
  std::string region;                          ///< OpenstackRegion
  std::chrono::milliseconds interval{0};       ///< between reports; 0: none
  std::chrono::seconds ttl{0};                 ///< how long a report stands without another one
  bool endpoints = false;                      ///< report each workload endpoint, too
  std::chrono::milliseconds endpointDelay{0};  ///< until a change of one is written
  bool operator==(const FelixStatusOptions&) const = default;
};
[[nodiscard]] FelixStatusOptions felixStatusOptions(const std::string& node,
                                                    const api::Parameters& parameters);

/// "/calico/felix/v2/no-region/host/NODE/"
[[nodiscard]] std::string statusPrefix(const FelixStatusOptions& options);

/// The value of "status" and "last_reported_status". `now` is a point of the wall clock.
[[nodiscard]] std::string statusReport(std::chrono::system_clock::time_point now,
                                       std::chrono::duration<double> uptime, bool first);

/// Values of endpoints by key: "up" with an interface that is up, "down" without, "error" where
/// something keeps the endpoint from being programmed.
using EndpointStatuses = std::map<std::string, std::string>;
[[nodiscard]] EndpointStatuses endpointStatuses(
    const FelixStatusOptions& options, std::span<const controllers::WorkloadInterface> interfaces,
    std::span<const controllers::EndpointProblem> problems, const dataplane::LinkMap& links);

}  // namespace margay::agent
