#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

namespace margay::api {

/// "64512", or "1.10" for 65546 (RFC 5396, asdot+). Pure.
[[nodiscard]] std::optional<std::uint32_t> parseAsNumber(std::string_view text);
/// As a document has it: a number, or one of these texts.
[[nodiscard]] std::optional<std::uint32_t> readAsNumber(const nlohmann::json& value);

}  // namespace margay::api
