#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "controllers/policy/evaluator.h"

/// `margayctl explain`, for the agent and for a directory of manifests alike.
namespace margay::agent {

struct ExplainQuery {
  std::string from;  ///< "namespace/name" of a workload, or an address
  std::string to;
  std::string protocol;  ///< name or number
  std::string port;
  std::string sourcePort;
  std::string icmpType;  ///< "8" or "8/0"
  std::string node;      ///< not empty: only what this node decides
};

/// Whether protocol, ports and ICMP type are what a packet can have, whatever the objects. The
/// error names the option.
Result<void> checkPacket(const ExplainQuery& query);

/// {"verdict": "Allow" | "Deny", "from", "to", "protocol", "port", "stages": [...]}, and "node" if
/// the query has one. `Errc::Invalid` names the argument that is wrong; `Errc::NotFound` the
/// workload or node that is not known.
Result<nlohmann::ordered_json> explain(const controllers::Objects& objects,
                                       const ExplainQuery& query);

}  // namespace margay::agent
