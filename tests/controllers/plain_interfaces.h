#pragma once

#include "controllers/endpoints/interface_table.h"

namespace margay::controllers {

struct PlainInterfaces {
  std::vector<WorkloadInterface> interfaces;  ///< by device
  std::vector<EndpointProblem> problems;      ///< sorted
};

/// What InterfaceTable should hold, worked out anew from all endpoints by plain loops.
[[nodiscard]] PlainInterfaces plainInterfaces(
    std::span<const std::shared_ptr<const LocalEndpoint>> endpoints,
    std::span<const std::string> prefixes, std::span<const api::IPPool> pools);

}  // namespace margay::controllers
