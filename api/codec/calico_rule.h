#pragma once

#include <string_view>
#include <vector>

#include "api/codec/json_reader.h"
#include "api/model/policy.h"

namespace margay::api {

/// Annotation of a rule that holds its name.
inline constexpr const char* kRuleNameAnnotation = "name";

enum class RuleOwner : std::uint8_t { NetworkPolicy, GlobalNetworkPolicy, Profile };

struct RuleContext {
  RuleOwner owner = RuleOwner::NetworkPolicy;
  PolicyDirection direction = PolicyDirection::Ingress;
  std::string_view ns;  ///< of a NetworkPolicy: where a service without a namespace is looked up
};

/// The list of rules in `key` of a spec, validated.
[[nodiscard]] std::vector<PolicyRule> readRules(const JsonReader& spec, std::string_view key,
                                                const RuleContext& context);

}  // namespace margay::api
