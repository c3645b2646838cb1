#pragma once

#include <optional>

#include "api/model/object.h"

namespace margay::api {

/// Whether they are equal by content. O(content), O(1) for two handles of one value.
[[nodiscard]] bool sameValue(const Value& a, const Value& b);
[[nodiscard]] bool sameValue(const std::optional<Value>& a, const std::optional<Value>& b);

}  // namespace margay::api
