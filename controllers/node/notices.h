#pragma once

#include <compare>
#include <span>
#include <string>
#include <vector>

#include "controllers/endpoints/workload_interface.h"
#include "controllers/policy/evaluator.h"
#include "dataplane/model/network.h"

namespace margay::controllers {

/// What is in force as far as it can be, but not as its writer will have meant it: something that
/// an object refers to is not there.
struct Notice {
  api::ObjectKey object;
  std::string field;   ///< "spec.tier"; empty if the object is missing itself
  std::string reason;  ///< what is wrong, what follows from it, what to do
  auto operator<=>(const Notice&) const = default;
  [[nodiscard]] std::string str() const;  ///< "GlobalNetworkPolicy x: spec.tier: ..."
};

/// Policies of tiers that do not exist; profiles that workloads of this node have and that do not
/// exist, a Namespace if it would give the profile (a ServiceAccount's profile has no rules: none
/// for those); workloads whose interface is not among `links`. Sorted. Pure.
/// O(policies + workloads of the node).
[[nodiscard]] std::vector<Notice> notices(const Objects& objects,
                                          std::span<const WorkloadInterface> interfaces,
                                          const dataplane::LinkMap& links);

}  // namespace margay::controllers
