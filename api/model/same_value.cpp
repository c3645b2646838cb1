#include "api/model/same_value.h"

#include <type_traits>

namespace margay::api {

bool sameValue(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        const auto& right = std::get<std::decay_t<decltype(left)>>(b);
        return left == right || *left == *right;
      },
      a);
}

bool sameValue(const std::optional<Value>& a, const std::optional<Value>& b) {
  return a && b ? sameValue(*a, *b) : a.has_value() == b.has_value();
}

}  // namespace margay::api
