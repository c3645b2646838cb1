#pragma once

#include <string>

#include "api/config/parameters.h"
#include "cmd/agent/backend.h"
#include "dataplane/rule_survey.h"

namespace margay::agent {

struct BackendChoice {
  Backend backend = Backend::Legacy;
  std::string why;  ///< for the log and `margayctl status`
  bool operator==(const BackendChoice&) const = default;
};

/// Which backend to write rules to. NFTablesMode=Enabled is an order, and Auto follows kube-proxy's
/// own nftables mode, both before IptablesBackend, whose Legacy and NFT are orders. Its Auto
/// follows the host, for rules of one kind are hidden from tools for the other: first what kubelet
/// and kube-proxy use, then where others have more rules, and where nobody has any, `running`.
/// Pure.
[[nodiscard]] BackendChoice chooseBackend(const api::Parameters& parameters,
                                          const dataplane::RuleSurvey& survey, Backend running);

}  // namespace margay::agent
