#pragma once

#include "api/config/parameters.h"
#include "base/result.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// The parameters in the controllers' terms. `defaultRpFilter` is the host's. `Errc::Invalid` with
/// one line where a parameter makes it impossible to go on (a mark mask that is too narrow or
/// overlaps kube-proxy's).
Result<controllers::NodeOptions> nodeOptionsOf(const api::Parameters& parameters,
                                               const std::string& networkingBackend,
                                               const std::string& defaultRpFilter,
                                               bool kernelHasIpv6);

}  // namespace margay::agent
