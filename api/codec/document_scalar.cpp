#include "api/codec/document_scalar.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace margay::api {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 9> kTrue{"true", "True", "TRUE", "yes", "Yes",
                                                "YES",  "on",   "On",   "ON"};
constexpr std::array<std::string_view, 9> kFalse{"false", "False", "FALSE", "no", "No",
                                                 "NO",    "off",   "Off",   "OFF"};
constexpr std::array<std::string_view, 5> kNull{"", "~", "null", "Null", "NULL"};

template <std::size_t N>
bool isOneOf(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

/// Digits of `text` in `base`; the sign is given apart. No value if it is no such number or too
/// large.
std::optional<json> integer(std::string_view digits, int base, bool negative) {
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (!negative) return json(value);
  if (value > std::uint64_t{1} << 63U) return std::nullopt;
  return json(static_cast<std::int64_t>(~value + 1));
}

std::optional<json> anyInteger(std::string_view text) {
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) == 0)
    return std::nullopt;
  if (text.size() > 2 && text[0] == '0') {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (base != 0) return integer(text.substr(2), base, negative);
  }
  if (text.size() > 1 && text[0] == '0') {
    if (auto octal = integer(text.substr(1), 8, negative)) return octal;
  }
  return integer(text, 10, negative);
}

/// [-+]? ( '.' digits | digits ('.' digits?)? ) ( [eE] [-+]? digits )?
bool looksLikeFloat(std::string_view text) {
  std::size_t at = text[0] == '-' || text[0] == '+' ? 1 : 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
    return at - from;
  };
  const std::size_t whole = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

}  // namespace

json plainScalar(const std::string& text) {
  if (isOneOf(text, kNull)) return nullptr;
  const char first = text.front();
  const bool numeric = std::isdigit(static_cast<unsigned char>(first)) != 0 || first == '-' ||
                       first == '+' || first == '.';
  if (!numeric) {
    if (isOneOf(text, kTrue)) return true;
    if (isOneOf(text, kFalse)) return false;
    return text;
  }
  std::string plain = text;
  if (first != '.') plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  if (auto number = anyInteger(plain)) return *number;
  if (looksLikeFloat(plain)) {
    const std::string_view digits =
        plain[0] == '+' ? std::string_view(plain).substr(1) : std::string_view(plain);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc() && end == digits.data() + digits.size()) return value;
  }
  return text;
}

}  // namespace margay::api
