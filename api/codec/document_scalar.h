#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace margay::api {

/// The JSON value of a plain (unquoted) YAML scalar, as kubectl's YAML reader resolves it: YAML 1.1
/// booleans (yes, on, ...; but a single y or n is a string, as in YAML 1.2), integers in base 2, 8,
/// 10 and 16 with '_' between digits, floats, null; everything else, dates and infinities too, is a
/// string.
[[nodiscard]] nlohmann::json plainScalar(const std::string& text);

}  // namespace margay::api
