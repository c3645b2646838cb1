#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "controllers/policy/model.h"
#include "dataplane/model/network.h"

/// The interface of a local endpoint. Pure; any thread.
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
  std::string field;   ///< of the WorkloadEndpoint: "spec.ipNetworks"
  std::string reason;  ///< what is wrong and what to do
  auto operator<=>(const EndpointProblem&) const = default;
};

[[nodiscard]] api::ObjectKey keyOf(const api::WorkloadEndpoint& endpoint);

/// Why no workload interface can have this name, and what to do: it is empty, longer than 15 bytes,
/// has bytes that no name has, or none of `prefixes` at its beginning (rules for workloads would
/// not meet its packets).
[[nodiscard]] std::optional<std::string> interfaceNameProblem(
    const std::string& name, std::span<const std::string> prefixes);

}  // namespace margay::controllers
