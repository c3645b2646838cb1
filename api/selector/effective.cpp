#include "api/selector/effective.h"

#include <string>

namespace margay::api {
namespace {

constexpr std::string_view kHasNamespace = "has(projectcalico.org/namespace)";
constexpr std::string_view kHasServiceAccount = "has(projectcalico.org/serviceaccount)";
/// No endpoint and no set has both.
constexpr std::string_view kNothing = "has(all) && !has(all)";

void replaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// The canonical text with `prefix` before each label; empty for empty text.
std::string prefixed(std::string_view text, std::string_view prefix) {
  if (text.empty()) return {};
  const auto selector = Selector::parse(text);
  return selector ? selector->withPrefix(prefix).canonical() : std::string(kNothing);
}

/// "(a) && b"; `b` is canonical or a single comparison. An empty side does not restrict.
std::string both(std::string a, std::string_view b) {
  if (b.empty()) return a;
  if (a.empty()) return std::string(b);
  return "(" + a + ") && " + std::string(b);
}

std::string inNamespace(std::string_view ns) {
  return std::string(kNamespaceLabel) + " == '" + std::string(ns) + "'";
}

Selector parsed(const std::string& text) {
  auto selector = Selector::parse(text);
  if (!selector) selector = Selector::parse(kNothing);
  return *selector;
}

std::string namespacePart(const EntityRule& end, std::string_view policyNamespace) {
  if (!end.namespaceSelector.empty()) {
    std::string text = prefixed(end.namespaceSelector, kNamespaceLabelPrefix);
    replaceAll(text, "all()", kHasNamespace);
    replaceAll(text, "global()", "!" + std::string(kHasNamespace));
    return text;
  }
  return policyNamespace.empty() ? std::string() : inNamespace(policyNamespace);
}

std::string serviceAccountPart(const EntityRule& end) {
  std::string text = prefixed(end.serviceAccountSelector, kServiceAccountLabelPrefix);
  if (end.serviceAccountNames.empty()) return text;
  std::string names = std::string(kServiceAccountLabel) + " in {";
  for (const std::string& name : end.serviceAccountNames) names += "'" + name + "', ";
  names += "}";
  return text.empty() ? names : "(" + text + ") && (" + names + ")";
}

/// The positive selector before the notSelector is folded in; empty: none.
std::string positiveText(const EntityRule& end, std::string_view policyNamespace) {
  const std::string accounts = serviceAccountPart(end);
  std::string text = accounts.empty() ? end.selector : accounts;
  if (!accounts.empty() && !end.selector.empty())
    text = "(" + accounts + ") && (" + end.selector + ")";
  const std::string namespaces = namespacePart(end, policyNamespace);
  const bool restricts =
      !text.empty() || !end.notSelector.empty() || !end.namespaceSelector.empty();
  if (namespaces.empty() || !restricts) return text;
  return text.empty() ? namespaces : "(" + namespaces + ") && (" + text + ")";
}

}  // namespace

Selector policySelector(const Policy& policy) {
  std::string text = policy.selector;
  if (!policy.ns.empty()) {
    text = both(std::move(text), inNamespace(policy.ns.view()));
    return parsed(
        both(std::move(text), prefixed(policy.serviceAccountSelector, kServiceAccountLabelPrefix)));
  }
  if (!policy.namespaceSelector.empty()) {
    text = both(std::move(text), prefixed(policy.namespaceSelector, kNamespaceLabelPrefix));
    replaceAll(text, "all()", kHasNamespace);
  }
  if (!policy.serviceAccountSelector.empty()) {
    text =
        both(std::move(text), prefixed(policy.serviceAccountSelector, kServiceAccountLabelPrefix));
    replaceAll(text, "all()", kHasServiceAccount);
  }
  return parsed(text);
}

RuleSelectors ruleSelectors(const EntityRule& end, std::string_view policyNamespace) {
  const std::string positive = positiveText(end, policyNamespace);
  if (positive.empty()) {
    if (end.notSelector.empty()) return {};
    return {.positive = std::nullopt, .negative = parsed(end.notSelector)};
  }
  if (end.notSelector.empty()) return {.positive = parsed(positive), .negative = std::nullopt};
  return {.positive = parsed("(" + positive + ") && (!(" + end.notSelector + "))"),
          .negative = std::nullopt};
}

std::optional<Selector> ruleSelector(const EntityRule& end, std::string_view policyNamespace) {
  return ruleSelectors(end, policyNamespace).positive;
}

std::optional<Selector> ruleNotSelector(const EntityRule& end, std::string_view policyNamespace) {
  return ruleSelectors(end, policyNamespace).negative;
}

}  // namespace margay::api
