#include "api/codec/base64.h"

#include <array>
#include <cstdint>

namespace margay::api {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> reversed() {
  std::array<std::uint8_t, 256> out{};
  for (auto& entry : out) entry = kNone;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    out[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return out;
}
constexpr auto kValues = reversed();

std::uint32_t valueOf(char c) {
  return kValues[static_cast<unsigned char>(c)];
}

}  // namespace

std::string base64Encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 3; ++i)
      word = word << 8U | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= count ? kAlphabet[word >> (18 - 6 * i) & 63U] : '=';
  }
  return out;
}

bool base64Decode(std::string_view text, std::string& out) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  out.resize(text.size() * 3 / 4);
  char* to = out.data();
  std::size_t at = 0;
  std::uint32_t bad = 0;
  for (; at + 4 <= text.size(); at += 4) {
    const auto a = valueOf(text[at]);
    const auto b = valueOf(text[at + 1]);
    const auto c = valueOf(text[at + 2]);
    const auto d = valueOf(text[at + 3]);
    bad |= a | b | c | d;
    const std::uint32_t word = a << 18U | b << 12U | c << 6U | d;
    *to++ = static_cast<char>(word >> 16U);
    *to++ = static_cast<char>(word >> 8U);
    *to++ = static_cast<char>(word);
  }
  std::uint32_t word = 0;
  const std::size_t left = text.size() - at;
  for (std::size_t i = 0; i < left; ++i) {
    bad |= valueOf(text[at + i]);
    word |= valueOf(text[at + i]) << (18 - 6 * i);
  }
  if (left >= 2) *to++ = static_cast<char>(word >> 16U);
  if (left == 3) *to = static_cast<char>(word >> 8U);
  return bad < 64;
}

}  // namespace margay::api
