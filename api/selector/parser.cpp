#include "api/selector/parser.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/selector/selector.h"
#include "api/selector/tokenizer.h"

namespace margay::api {
namespace {

/// Recursive descent; what recurses is bounded by kMaxSelectorDepth.
class Parser {
 public:
  explicit Parser(const std::vector<Token>& tokens) : next_(tokens.data()) {}

  Result<SelectorNode> root() {
    if (next_->kind == TokenKind::End) return SelectorNode{};
    auto node = expression();
    if (!node) return node;
    if (next_->kind != TokenKind::End)
      return selectorError("expected &&, || or the end", next_->position);
    return node;
  }

 private:
  /// Operations joined by && and ||, of which && binds closer. Calls itself once a parenthesis.
  Result<SelectorNode> expression() {
    std::vector<SelectorNode> alternatives;
    std::vector<SelectorNode> conditions;
    while (true) {
      auto part = operation();
      if (!part) return part;
      conditions.push_back(std::move(*part));
      if (take(TokenKind::And)) continue;
      auto condition = join(SelectorOp::And, std::move(conditions));
      if (!condition) return condition;
      alternatives.push_back(std::move(*condition));
      conditions.clear();
      if (!take(TokenKind::Or)) return join(SelectorOp::Or, std::move(alternatives));
    }
  }

  /// A single operand stays bare.
  Result<SelectorNode> join(SelectorOp op, std::vector<SelectorNode> operands) {
    if (operands.size() == 1) return std::move(operands.front());
    SelectorNode node;
    node.op = op;
    for (const SelectorNode& operand : operands)
      node.depth = std::max(node.depth, operand.depth + 1);
    if (node.depth > kMaxSelectorDepth) return tooDeep();
    node.operands = std::move(operands);
    return node;
  }

  [[nodiscard]] Fail tooDeep() const {
    return selectorError("expression is nested more than 1000 deep", next_->position);
  }

  Result<SelectorNode> operation() {
    bool negated = false;
    while (take(TokenKind::Not)) negated = !negated;
    auto node = positiveOperation();
    if (!node || !negated) return node;
    SelectorNode inverse;
    inverse.op = SelectorOp::Not;
    inverse.depth = node->depth + 1;
    if (inverse.depth > kMaxSelectorDepth) return tooDeep();
    inverse.operands.push_back(std::move(*node));
    return inverse;
  }

  Result<SelectorNode> positiveOperation() {
    const Token& token = *next_;
    SelectorNode node;
    switch (token.kind) {
      case TokenKind::All:
        ++next_;
        return node;
      case TokenKind::Global:
        ++next_;
        node.op = SelectorOp::Global;
        return node;
      case TokenKind::Has:
        ++next_;
        node.op = SelectorOp::Has;
        node.label = token.text;
        return node;
      case TokenKind::Label:
        ++next_;
        node.label = token.text;
        return comparison(std::move(node));
      case TokenKind::LeftParen:
        return parenthesised();
      default:
        return selectorError("expected a label, has(), all(), global(), ! or (", token.position);
    }
  }

  Result<SelectorNode> parenthesised() {
    if (++open_ > kMaxSelectorDepth) return tooDeep();
    ++next_;
    auto node = expression();
    if (!node) return node;
    if (!take(TokenKind::RightParen)) return selectorError("expected ), && or ||", next_->position);
    --open_;
    return node;
  }

  static std::optional<SelectorOp> comparisonOf(TokenKind kind) {
    switch (kind) {
      case TokenKind::Equal:
        return SelectorOp::Equal;
      case TokenKind::NotEqual:
        return SelectorOp::NotEqual;
      case TokenKind::Contains:
        return SelectorOp::Contains;
      case TokenKind::StartsWith:
        return SelectorOp::StartsWith;
      case TokenKind::EndsWith:
        return SelectorOp::EndsWith;
      case TokenKind::In:
        return SelectorOp::In;
      case TokenKind::NotIn:
        return SelectorOp::NotIn;
      default:
        return std::nullopt;
    }
  }

  /// The operator and right side after the label.
  Result<SelectorNode> comparison(SelectorNode node) {
    const auto op = comparisonOf(next_->kind);
    if (!op) {
      return selectorError("expected an operator after label '" + node.label +
                               "': ==, !=, in, not in, contains, starts with or ends with",
                           next_->position);
    }
    ++next_;
    node.op = *op;
    if (*op == SelectorOp::In || *op == SelectorOp::NotIn) return setLiteral(std::move(node));
    if (next_->kind != TokenKind::String)
      return selectorError("expected a quoted string", next_->position);
    node.value = next_->text;
    ++next_;
    return node;
  }

  /// "{" [string {"," string} [","]] "}"
  Result<SelectorNode> setLiteral(SelectorNode node) {
    if (!take(TokenKind::LeftBrace))
      return selectorError("expected { and a list of strings", next_->position);
    while (next_->kind == TokenKind::String) {
      node.values.emplace_back(next_->text);
      ++next_;
      if (!take(TokenKind::Comma)) break;
    }
    if (!take(TokenKind::RightBrace))
      return selectorError("expected } or a quoted string", next_->position);
    std::sort(node.values.begin(), node.values.end());
    node.values.erase(std::unique(node.values.begin(), node.values.end()), node.values.end());
    return node;
  }

  bool take(TokenKind kind) {
    if (next_->kind != kind) return false;
    ++next_;
    return true;
  }

  const Token* next_;  // the last token is End and is never taken
  std::size_t open_ = 0;
};

}  // namespace

Result<SelectorNode> parseSelectorTree(std::string_view text) {
  const auto tokens = tokenize(text);
  if (!tokens) return Fail(tokens.error());
  return Parser(*tokens).root();
}

}  // namespace margay::api
