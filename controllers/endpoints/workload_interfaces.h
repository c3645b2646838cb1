#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/model/network_set.h"
#include "api/model/object.h"
#include "controllers/policy/model.h"
#include "dataplane/model/network.h"

/// Which interface and addresses each local endpoint has, once conflicts are settled. Pure; any
/// thread.
namespace margay::controllers {

/// A local endpoint that can be programmed.
struct WorkloadInterface {
  dataplane::IfName device;
  std::shared_ptr<const LocalEndpoint> endpoint;
  std::vector<Prefix> addresses;  ///< those that it has for itself; sorted
  bool operator==(const WorkloadInterface&) const = default;
};

/// What is wrong with an endpoint, for status and metrics.
struct EndpointProblem {
  enum class Severity : std::uint8_t { Warning, Error };
  api::ObjectKey endpoint;
  Severity severity = Severity::Error;
  std::string reason;  ///< what is wrong and what to do
  auto operator<=>(const EndpointProblem&) const = default;
};

struct WorkloadInterfaces {
  std::vector<WorkloadInterface> interfaces;  ///< by device
  std::vector<EndpointProblem> problems;      ///< sorted
};

[[nodiscard]] api::ObjectKey keyOf(const api::WorkloadEndpoint& endpoint);

/// Endpoints go by key, and the first to claim an interface or an address has it: a second claim of
/// an interface leaves the endpoint out, one of an address leaves that address out; both are
/// errors. So is a name that no workload interface can have: empty, longer than 15 bytes, with
/// bytes that no name has, or without any of `prefixes` at its beginning (rules for workloads would
/// not meet its packets). An address in no pool is a warning, unless there is no pool at all.
/// O(addresses * (log addresses + pools)).
[[nodiscard]] WorkloadInterfaces workloadInterfaces(
    std::span<const std::shared_ptr<const LocalEndpoint>> endpoints,
    std::span<const std::string> prefixes, std::span<const api::IPPool> pools);

}  // namespace margay::controllers
