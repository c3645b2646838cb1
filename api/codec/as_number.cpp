#include "api/codec/as_number.h"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace margay::api {
namespace {

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint32_t> parseAsNumber(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return whole<std::uint32_t>(text);
  const auto high = whole<std::uint16_t>(text.substr(0, dot));
  const auto low = whole<std::uint16_t>(text.substr(dot + 1));
  if (!high || !low) return std::nullopt;
  return (std::uint32_t{*high} << 16U) | *low;
}

std::optional<std::uint32_t> readAsNumber(const nlohmann::json& value) {
  if (value.is_string()) return parseAsNumber(value.get<std::string>());
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.get<std::int64_t>();
  if (number < 0 || number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

}  // namespace margay::api
