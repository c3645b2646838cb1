#include "api/selector/selector.h"

#include <algorithm>
#include <utility>

#include "api/selector/node.h"
#include "api/selector/parser.h"

namespace margay::api {
namespace {

void appendQuoted(std::string& text, std::string_view value) {
  const char quote = value.find('"') == std::string_view::npos ? '"' : '\'';
  text += quote;
  text += value;
  text += quote;
}

void appendCanonical(std::string& text, const SelectorNode& node);

void appendChain(std::string& text, const SelectorNode& node, std::string_view separator) {
  text += '(';
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    if (i > 0) text += separator;
    appendCanonical(text, node.operands[i]);
  }
  text += ')';
}

void appendComparison(std::string& text, const SelectorNode& node, std::string_view op) {
  text += node.label;
  text += op;
  appendQuoted(text, node.value);
}

void appendSet(std::string& text, const SelectorNode& node, std::string_view op) {
  text += node.label;
  text += op;
  text += '{';
  for (std::size_t i = 0; i < node.values.size(); ++i) {
    if (i > 0) text += ", ";
    appendQuoted(text, node.values[i]);
  }
  text += '}';
}

void appendCanonical(std::string& text, const SelectorNode& node) {
  switch (node.op) {
    case SelectorOp::All:
      text += "all()";
      return;
    case SelectorOp::Global:
      text += "global()";
      return;
    case SelectorOp::Has:
      text.append("has(").append(node.label).append(")");
      return;
    case SelectorOp::Equal:
      return appendComparison(text, node, " == ");
    case SelectorOp::NotEqual:
      return appendComparison(text, node, " != ");
    case SelectorOp::Contains:
      return appendComparison(text, node, " contains ");
    case SelectorOp::StartsWith:
      return appendComparison(text, node, " starts with ");
    case SelectorOp::EndsWith:
      return appendComparison(text, node, " ends with ");
    case SelectorOp::In:
      return appendSet(text, node, " in ");
    case SelectorOp::NotIn:
      return appendSet(text, node, " not in ");
    case SelectorOp::Not:
      text += '!';
      return appendCanonical(text, node.operands.front());
    case SelectorOp::And:
      return appendChain(text, node, " && ");
    case SelectorOp::Or:
      return appendChain(text, node, " || ");
  }
}

bool contains(const std::vector<std::string>& sorted, std::string_view value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  return at != sorted.end() && *at == value;
}

template <class Source>
bool evaluate(const SelectorNode& node, const Source& labels) {
  const auto holds = [&](const auto& test) {
    const std::optional<std::string_view> value = labels.get(node.label);
    return value && test(*value);
  };
  const auto matchesOne = [&](const SelectorNode& operand) { return evaluate(operand, labels); };
  switch (node.op) {
    case SelectorOp::All:
    case SelectorOp::Global:
      return true;
    case SelectorOp::Has:
      return labels.get(node.label).has_value();
    case SelectorOp::Equal:
      return holds([&](std::string_view v) { return v == node.value; });
    case SelectorOp::NotEqual:
      return !holds([&](std::string_view v) { return v == node.value; });
    case SelectorOp::Contains:
      return holds(
          [&](std::string_view v) { return v.find(node.value) != std::string_view::npos; });
    case SelectorOp::StartsWith:
      return holds([&](std::string_view v) { return v.starts_with(node.value); });
    case SelectorOp::EndsWith:
      return holds([&](std::string_view v) { return v.ends_with(node.value); });
    case SelectorOp::In:
      return holds([&](std::string_view v) { return contains(node.values, v); });
    case SelectorOp::NotIn:
      return !holds([&](std::string_view v) { return contains(node.values, v); });
    case SelectorOp::Not:
      return !evaluate(node.operands.front(), labels);
    case SelectorOp::And:
      return std::all_of(node.operands.begin(), node.operands.end(), matchesOne);
    case SelectorOp::Or:
      return std::any_of(node.operands.begin(), node.operands.end(), matchesOne);
  }
  return false;
}

void addPrefix(SelectorNode& node, std::string_view prefix) {
  if (!node.label.empty()) node.label.insert(0, prefix);
  for (SelectorNode& operand : node.operands) addPrefix(operand, prefix);
}

LabelRestrictions restrictionsOf(const SelectorNode& node);

/// Every restriction of every operand holds.
LabelRestrictions restrictionsOfAnd(const SelectorNode& node) {
  LabelRestrictions all;
  for (const SelectorNode& operand : node.operands) {
    for (auto& [label, more] : restrictionsOf(operand)) {
      LabelRestriction& base = all[label];
      base.mustBePresent = base.mustBePresent || more.mustBePresent;
      base.mustBeAbsent = base.mustBeAbsent || more.mustBeAbsent;
      if (!base.mustHaveOneOf) {
        base.mustHaveOneOf = std::move(more.mustHaveOneOf);
      } else if (more.mustHaveOneOf) {
        std::vector<std::string> both;
        std::set_intersection(base.mustHaveOneOf->begin(), base.mustHaveOneOf->end(),
                              more.mustHaveOneOf->begin(), more.mustHaveOneOf->end(),
                              std::back_inserter(both));
        base.mustHaveOneOf = std::move(both);
      }
    }
  }
  return all;
}

LabelRestriction either(const LabelRestriction& a, const LabelRestriction& b) {
  LabelRestriction result;
  result.mustBePresent = a.mustBePresent && b.mustBePresent;
  result.mustBeAbsent = a.mustBeAbsent && b.mustBeAbsent;
  if (result.mustBePresent && a.mustHaveOneOf && b.mustHaveOneOf) {
    result.mustHaveOneOf.emplace();
    std::set_union(a.mustHaveOneOf->begin(), a.mustHaveOneOf->end(), b.mustHaveOneOf->begin(),
                   b.mustHaveOneOf->end(), std::back_inserter(*result.mustHaveOneOf));
  }
  return result;
}

/// Only what every operand demands.
LabelRestrictions restrictionsOfOr(const SelectorNode& node) {
  LabelRestrictions common = restrictionsOf(node.operands.front());
  for (auto operand = node.operands.begin() + 1; operand != node.operands.end() && !common.empty();
       ++operand) {
    const LabelRestrictions more = restrictionsOf(*operand);
    for (auto at = common.begin(); at != common.end();) {
      const auto other = more.find(at->first);
      at->second = either(at->second, other == more.end() ? LabelRestriction{} : other->second);
      at = at->second.mustBePresent || at->second.mustBeAbsent ? std::next(at) : common.erase(at);
    }
  }
  return common;
}

LabelRestrictions restrictionsOf(const SelectorNode& node) {
  switch (node.op) {
    case SelectorOp::Equal:
      return {{node.label, {.mustBePresent = true, .mustHaveOneOf = std::vector{node.value}}}};
    case SelectorOp::In:
      return {{node.label, {.mustBePresent = true, .mustHaveOneOf = node.values}}};
    case SelectorOp::Has:
    case SelectorOp::Contains:
    case SelectorOp::StartsWith:
    case SelectorOp::EndsWith:
      return {{node.label, {.mustBePresent = true}}};
    case SelectorOp::Not:
      if (node.operands.front().op != SelectorOp::Has) return {};
      return {{node.operands.front().label, {.mustBeAbsent = true}}};
    case SelectorOp::And:
      return restrictionsOfAnd(node);
    case SelectorOp::Or:
      return restrictionsOfOr(node);
    case SelectorOp::All:
    case SelectorOp::Global:
    case SelectorOp::NotEqual:
    case SelectorOp::NotIn:
      return {};
  }
  return {};
}

}  // namespace

struct Selector::Expression {
  SelectorNode node;
  std::string canonical;
};

Selector::Selector() {
  static const Selector kAll{SelectorNode{}};
  expression_ = kAll.expression_;
}

Selector::Selector(SelectorNode node) {
  auto expression = std::make_shared<Expression>();
  expression->node = std::move(node);
  appendCanonical(expression->canonical, expression->node);
  expression_ = std::move(expression);
}

Result<Selector> Selector::parse(std::string_view text) {
  auto tree = parseSelectorTree(text);
  if (!tree) return Fail(tree.error());
  return Selector(std::move(*tree));
}

const std::string& Selector::canonical() const {
  return expression_->canonical;
}

bool Selector::matches(const LabelSource& labels) const {
  return evaluate(expression_->node, labels);
}
bool Selector::matches(const Labels& labels) const {
  return evaluate(expression_->node, labels);
}

LabelRestrictions Selector::restrictions() const {
  return restrictionsOf(expression_->node);
}

Selector Selector::withPrefix(std::string_view prefix) const {
  SelectorNode node = expression_->node;
  addPrefix(node, prefix);
  return Selector(std::move(node));
}

}  // namespace margay::api
