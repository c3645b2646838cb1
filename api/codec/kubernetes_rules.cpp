#include "api/codec/kubernetes_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/codec/validate_names.h"

namespace margay::api {
namespace {

using nlohmann::json;

constexpr std::string_view kPodsOnly = "projectcalico.org/orchestrator == 'k8s'";

void addTerm(std::string& selector, const std::string& term) {
  if (!selector.empty()) selector += " && ";
  selector += term;
}

std::string quotedList(const std::vector<std::string>& values) {
  std::string out = "{ ";
  for (std::size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "'" : ", '") + values[i] + "'";
  return out + " }";
}

void addExpression(const JsonReader& expression, std::string& selector) {
  expression.onlyFields({"key", "operator", "values"});
  const std::string key = expression.stringOr("key", "");
  const std::string op = expression.stringOr("operator", "");
  const auto values = expression.strings("values");
  if (auto problem = qualifiedNameProblem(key)) expression.error("key", std::move(*problem));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (auto problem = labelValueProblem(values[i]))
      expression.error("values", i, std::move(*problem));
  }
  const bool wantsValues = op == "In" || op == "NotIn";
  if (!wantsValues && op != "Exists" && op != "DoesNotExist") {
    expression.error("operator", "must be In, NotIn, Exists or DoesNotExist");
  } else if (wantsValues == values.empty()) {
    expression.error("values",
                     wantsValues ? op + " needs at least one value" : op + " takes no values");
  }
  if (op == "In") addTerm(selector, key + " in " + quotedList(values));
  if (op == "NotIn") addTerm(selector, key + " not in " + quotedList(values));
  if (op == "Exists") addTerm(selector, "has(" + key + ")");
  if (op == "DoesNotExist") addTerm(selector, "! has(" + key + ")");
}

/// The terms of a label selector after `selector`.
std::string withTerms(std::string selector, const JsonReader& labels) {
  labels.onlyFields({"matchLabels", "matchExpressions"});
  for (const auto& [key, value] : labels.stringMap("matchLabels")) {
    if (auto problem = qualifiedNameProblem(key))
      labels.error("matchLabels", key + ": " + *problem);
    if (auto problem = labelValueProblem(value)) labels.error("matchLabels", key + ": " + *problem);
    addTerm(selector, key + " == '" + value + "'");
  }
  for (const JsonReader& expression : labels.objects("matchExpressions"))
    addExpression(expression, selector);
  return selector;
}

/// Overlapping and adjacent numbers become one range; names come first, unless there is nothing to
/// merge.
std::vector<Port> simplified(const std::vector<Port>& ports) {
  std::vector<Port> out;
  std::vector<PortRange> ranges;
  for (const Port& port : ports) {
    if (port.name.empty()) {
      ranges.push_back(port.range);
    } else {
      out.push_back(port);
    }
  }
  if (ranges.empty() || (ranges.size() == 1 && ranges[0].first == ranges[0].last)) return ports;
  std::sort(ranges.begin(), ranges.end());
  PortRange open = ranges.front();
  for (const PortRange& range : ranges) {
    if (range.first > open.last + 1) {
      out.push_back({open, {}});
      open = range;
    }
    open.last = std::max(open.last, range.last);
  }
  out.push_back({open, {}});
  return out;
}

}  // namespace

std::string podSelector(const std::optional<JsonReader>& labels) {
  return labels ? withTerms(std::string(kPodsOnly), *labels) : std::string(kPodsOnly);
}

std::string namespaceSelector(const std::optional<JsonReader>& labels) {
  if (!labels) return {};
  std::string selector = withTerms({}, *labels);
  return selector.empty() ? "all()" : selector;
}

std::optional<Prefix> readCidr(const std::string& text) {
  return text.find('/') == std::string::npos ? std::nullopt : Prefix::parseNetwork(text);
}

std::optional<std::uint8_t> transportNumber(std::string_view protocol) {
  if (protocol == "TCP") return std::uint8_t{6};
  if (protocol == "UDP") return std::uint8_t{17};
  if (protocol == "SCTP") return std::uint8_t{132};
  return std::nullopt;
}

std::vector<PolicyRule> rulesFor(const KubernetesRule& rule, PolicyDirection direction) {
  static const std::vector<EntityRule> kEveryone(1);
  std::vector<PolicyRule> out;
  for (const auto& [protocol, ports] : rule.ports) {
    for (const EntityRule& peer : rule.peers.empty() ? kEveryone : rule.peers) {
      PolicyRule made;
      made.action = rule.action;
      made.name = rule.name;
      made.protocol = transportNumber(protocol);
      (direction == PolicyDirection::Ingress ? made.source : made.destination) = peer;
      if (!ports.all) made.destination.ports = simplified(ports.ports);
      out.push_back(std::move(made));
    }
  }
  return out;
}

std::vector<PolicyRule> convertRules(const json& spec, PolicyDirection direction,
                                     const RuleConversion& conversion, Decoded& out) {
  const char* name = direction == PolicyDirection::Ingress ? "ingress" : "egress";
  std::vector<PolicyRule> rules;
  const auto list = spec.find(name);
  if (list == spec.end() || list->is_null()) return rules;
  if (!list->is_array()) {
    out.errors.push_back({std::string("spec.") + name, "must be a list of rules"});
    return rules;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    std::vector<FieldError> errors;
    const auto read = conversion.read(JsonReader((*list)[i], errors, UnknownFields::Errors));
    if (errors.empty()) {
      const auto made = rulesFor(read, direction);
      rules.insert(rules.end(), made.begin(), made.end());
      continue;
    }
    auto instead = conversion.instead(read);
    const std::string fate =
        instead ? "; the rule denies everything until then" : "; the rule is left out";
    if (instead) rules.push_back(std::move(*instead));
    const std::string path = std::string("spec.") + name + "[" + std::to_string(i) + "]";
    for (FieldError& error : errors) {
      out.errors.push_back(
          {error.field.empty() ? path : path + "." + error.field, std::move(error.reason) + fate});
    }
  }
  return rules;
}

}  // namespace margay::api
