#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/agent/address_detection.h"

/// The objects that calico-node makes when it starts, as documents. No I/O but random numbers.
namespace margay::agent {

using Variables = std::map<std::string, std::string>;

/// The node's object: `stored` (null if there is none) with what IP, IP6, AS and
/// CALICO_K8S_NODE_REF say. `others`: every Node; `Errc::Invalid` if one of them has the address,
/// unless DISABLE_NODE_IP_CHECK=true. No address with CALICO_NETWORKING_BACKEND=none: policy needs
/// none.
Result<nlohmann::json> nodeDocument(const std::string& name, const nlohmann::json& stored,
                                    const std::vector<nlohmann::json>& others,
                                    const Variables& variables, const HostView& host);

/// The default pools that are missing beside `pools`, by CALICO_IPV4POOL_*, CALICO_IPV6POOL_* and
/// NO_DEFAULT_POOLS; a CIDR "none" is none. One for IPv6 only where the host has IPv6.
Result<std::vector<nlohmann::json>> missingPools(const std::vector<nlohmann::json>& pools,
                                                 const Variables& variables, const HostView& host,
                                                 bool hasIpv6);

/// ClusterInformation "default": `stored` (null if there is none) with what it lacks.
[[nodiscard]] nlohmann::json clusterDocument(const nlohmann::json& stored,
                                             const Variables& variables);

}  // namespace margay::agent
