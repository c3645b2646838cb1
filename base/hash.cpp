#include "base/hash.h"

#include <openssl/sha.h>

#include <span>

namespace margay {
namespace {

const unsigned char* bytesOf(std::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

std::string hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace

std::string sha1Hex(std::string_view data) {
  std::array<std::uint8_t, 20> digest{};
  SHA1(bytesOf(data), data.size(), digest.data());
  return hex(digest);
}

std::array<std::uint8_t, 28> sha224(std::string_view data) {
  std::array<std::uint8_t, 28> digest{};
  SHA224(bytesOf(data), data.size(), digest.data());
  return digest;
}

std::array<std::uint8_t, 32> sha256(std::string_view data) {
  std::array<std::uint8_t, 32> digest{};
  SHA256(bytesOf(data), data.size(), digest.data());
  return digest;
}

std::string base64Url(std::string_view data) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : data) {
    buffer = (buffer << 8) | static_cast<std::uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[(buffer >> (bits - 6)) & 63];
  }
  if (bits > 0) out += kAlphabet[(buffer << (6 - bits)) & 63];
  return out;
}

std::string contentHash(std::string_view data, std::size_t digits) {
  return hex(sha256(data)).substr(0, digits);
}

}  // namespace margay
