#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/model/policy.h"
#include "controllers/policy/membership.h"
#include "controllers/policy/model.h"

namespace margay::controllers {

/// Rules with the sets that they refer to, each set once, in order of their ids.
struct ResolvedRules {
  std::vector<ResolvedRule> rules;
  std::vector<SetNeed> sets;
};

/// Puts sets in the place of selectors, named ports and services, as Felix' rule scanner does: a
/// selector whose end has only named ports restricts those and needs no set of its own. `ns` is the
/// policy's namespace, empty for global policies and profiles. Pure.
[[nodiscard]] ResolvedRules resolveRules(const std::vector<api::PolicyRule>& rules,
                                         std::string_view ns);

/// 16 hex digits of everything that makes a rule list: label, tier and rules. Equal content has
/// equal digits on every node and after every restart.
[[nodiscard]] std::string ruleListHash(std::string_view label, std::string_view tier,
                                       const std::vector<ResolvedRule>& rules);

}  // namespace margay::controllers
