#pragma once

#include <string_view>

#include "api/selector/node.h"
#include "base/result.h"

namespace margay::api {

/// The tree of a selector; see Selector::parse.
[[nodiscard]] Result<SelectorNode> parseSelectorTree(std::string_view text);

}  // namespace margay::api
