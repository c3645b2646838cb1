#pragma once

#include <string>

#include "api/config/parameters.h"
#include "base/result.h"
#include "cmd/agent/backend.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// What the options follow besides the parameters.
struct NodeFacts {
  Backend backend = Backend::Legacy;
  std::string networkingBackend;  ///< CALICO_NETWORKING_BACKEND
  std::string defaultRpFilter;    ///< the host's
  bool ipv6 = true;               ///< the kernel has it
};

/// The parameters in the controllers' terms. `Errc::Invalid` with one line where a parameter makes
/// it impossible to go on (a mark mask that is too narrow or overlaps kube-proxy's).
///
/// Rules in nftables follow NftablesMarkMask, NftablesFilterAllowAction and
/// NftablesFilterDenyAction where NFTablesMode is Enabled, as with Calico. Otherwise each of them
/// counts where it is set, and its namesake of iptables where it is not: who had
/// IptablesBackend=NFT keeps what he has.
Result<controllers::NodeOptions> nodeOptionsOf(const api::Parameters& parameters,
                                               const NodeFacts& facts);

}  // namespace margay::agent
