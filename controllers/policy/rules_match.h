#pragma once

#include <optional>
#include <vector>

#include "controllers/policy/model.h"
#include "dataplane/model/rule.h"

namespace margay::controllers {

/// What a packet must fulfil for a rule, in the form that kernel rules can say. It matches when
/// `guard` holds, no net of the excluded lists has its address, and one alternative of each of
/// `choices` holds.
struct RuleMatch {
  std::vector<dataplane::Match> guard;
  std::vector<dataplane::NetMatch> excluded;  ///< Sense::Is
  std::vector<std::vector<std::vector<dataplane::Match>>>
      choices;  ///< each of two alternatives or more
};

/// No value when the rule does not apply to the family (see renderRuleList).
[[nodiscard]] std::optional<RuleMatch> ruleMatch(const ResolvedRule& rule, Family family);

}  // namespace margay::controllers
