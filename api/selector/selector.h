#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/model/labels.h"
#include "base/result.h"

namespace margay::api {

/// Where a selector looks labels up. The endpoint's own label wins over an inherited one of the
/// same key; the implementation decides.
class LabelSource {
 public:
  virtual ~LabelSource() = default;
  [[nodiscard]] virtual std::optional<std::string_view> get(std::string_view key) const = 0;
};

/// What a label must be like for a selector to match: any selector that matches satisfies all of
/// them, not the other way round. For indexes.
struct LabelRestriction {
  bool mustBePresent = false;
  bool mustBeAbsent = false;
  /// Sorted. Set and empty: the selector cannot match.
  std::optional<std::vector<std::string>> mustHaveOneOf;
  bool operator==(const LabelRestriction&) const = default;
};
using LabelRestrictions = std::map<std::string, LabelRestriction, std::less<>>;

struct SelectorNode;

/// An expression of Calico's selector language. Immutable; copies share the expression and are safe
/// on any thread. Equality is of the canonical text.
class Selector {
 public:
  /// all()
  Selector();

  /// Blank text is all(). Errors (Errc::Invalid) say what was expected and "at position N", 1-based
  /// in bytes. Nesting deeper than kMaxSelectorDepth is an error, so that no input exhausts the
  /// stack. The canonical text of every selector parses again. O(length).
  static Result<Selector> parse(std::string_view text);

  /// As Calico's String(): one spelling for each expression tree, so a key for sets.
  [[nodiscard]] const std::string& canonical() const;

  /// No allocation.
  [[nodiscard]] bool matches(const LabelSource& labels) const;
  [[nodiscard]] bool matches(const Labels& labels) const;

  [[nodiscard]] LabelRestrictions restrictions() const;

  /// Every label name with `prefix` before it ("pcns.").
  [[nodiscard]] Selector withPrefix(std::string_view prefix) const;

  friend bool operator==(const Selector& a, const Selector& b) {
    return a.expression_ == b.expression_ || a.canonical() == b.canonical();
  }

 private:
  struct Expression;
  explicit Selector(SelectorNode node);
  std::shared_ptr<const Expression> expression_;  // never null
};

/// Operators or parentheses inside one another. The 1024 characters that validation allows stay far
/// below.
inline constexpr std::size_t kMaxSelectorDepth = 1000;

}  // namespace margay::api
