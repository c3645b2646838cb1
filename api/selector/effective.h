#pragma once

#include <optional>
#include <string_view>

#include "api/model/policy.h"
#include "api/selector/selector.h"

/// The selectors that apply in effect, with namespaces and service accounts folded in. Labels of a
/// namespace are `pcns.<key>` and those of a service account `pcsa.<key>` on its endpoints (from
/// profiles).
namespace margay::api {

inline constexpr std::string_view kNamespaceLabel = "projectcalico.org/namespace";
inline constexpr std::string_view kOrchestratorLabel = "projectcalico.org/orchestrator";
inline constexpr std::string_view kServiceAccountLabel = "projectcalico.org/serviceaccount";
inline constexpr std::string_view kNamespaceLabelPrefix = "pcns.";
inline constexpr std::string_view kServiceAccountLabelPrefix = "pcsa.";

/// Which endpoints the policy applies to. Its selectors have been validated; one that does not
/// parse selects nothing.
[[nodiscard]] Selector policySelector(const Policy& policy);

/// What one end of a rule matches by selectors. None: no selector restricts it.
struct RuleSelectors {
  /// Only endpoints and network sets that match; a notSelector is part of it.
  std::optional<Selector> positive;
  /// Set when there is no positive selector: everything but these matches, also what is no
  /// endpoint.
  std::optional<Selector> negative;
};

/// `policyNamespace` is empty for global policies and profiles: in a namespaced policy every
/// selector of a rule stays within the policy's namespace unless it has a namespaceSelector.
[[nodiscard]] RuleSelectors ruleSelectors(const EntityRule& end, std::string_view policyNamespace);

/// `ruleSelectors(...).positive` and `.negative`.
[[nodiscard]] std::optional<Selector> ruleSelector(const EntityRule& end,
                                                   std::string_view policyNamespace);
[[nodiscard]] std::optional<Selector> ruleNotSelector(const EntityRule& end,
                                                      std::string_view policyNamespace);

}  // namespace margay::api
