#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace margay::api {

enum class SelectorOp : std::uint8_t {
  All,
  Global,
  Has,
  Equal,
  NotEqual,
  Contains,
  StartsWith,
  EndsWith,
  In,
  NotIn,
  Not,
  And,
  Or,
};

/// A node of a selector's tree, immutable once parsed. Which members are used follows from `op`.
struct SelectorNode {
  SelectorOp op = SelectorOp::All;
  std::size_t depth = 0;  ///< nested operators below this one
  std::string label;
  std::string value;
  std::vector<std::string> values;     ///< In, NotIn: sorted, unique
  std::vector<SelectorNode> operands;  ///< Not: one; And, Or: two or more
};

}  // namespace margay::api
