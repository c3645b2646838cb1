#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace margay {
namespace {

std::optional<Prefix> parsePrefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Prefix::host(*address);
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
    return std::nullopt;
  if (length > addressBits(address->family())) return std::nullopt;
  return Prefix{*address, static_cast<std::uint8_t>(length)};
}

}  // namespace

int afOf(Family family) {
  return family == Family::V4 ? AF_INET : AF_INET6;
}

Address Address::v4(std::uint32_t hostOrder) {
  Address out;
  for (std::size_t i = 0; i < 4; ++i)
    out.bytes_[i] = static_cast<std::uint8_t>(hostOrder >> (24 - 8 * i));
  return out;
}

Address Address::fromBytes(std::span<const std::uint8_t> bytes) {
  Address out;
  out.family_ = bytes.size() == 4 ? Family::V4 : Family::V6;
  std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), 16), out.bytes_.begin());
  return out;
}

std::optional<Address> Address::parse(std::string_view text) {
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return std::nullopt;
  Address out;
  if (inet_pton(AF_INET, buffer, out.bytes_.data()) == 1) return out;
  out.family_ = Family::V6;
  if (inet_pton(AF_INET6, buffer, out.bytes_.data()) == 1) return out;
  return std::nullopt;
}

std::string Address::str() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(afOf(family_), bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

bool Prefix::contains(const Address& other) const {
  if (other.family() != family()) return false;
  return Prefix{other, length}.masked().address == masked().address;
}

bool Prefix::contains(const Prefix& other) const {
  return other.length >= length && contains(other.address);
}

Prefix Prefix::masked() const {
  std::array<std::uint8_t, 16> bytes{};
  const auto in = address.bytes();
  for (std::size_t i = 0; i < in.size(); ++i) {
    const int keep = std::clamp(static_cast<int>(length) - static_cast<int>(8 * i), 0, 8);
    bytes[i] = static_cast<std::uint8_t>(in[i] & (0xff00 >> keep));
  }
  return Prefix{Address::fromBytes({bytes.data(), in.size()}), length};
}

std::string Prefix::str() const {
  return address.str() + '/' + std::to_string(length);
}

Prefix Prefix::host(const Address& address) {
  return Prefix{address, addressBits(address.family())};
}

std::optional<Prefix> Prefix::parseNetwork(std::string_view text) {
  const auto prefix = parsePrefix(text);
  return prefix ? std::optional(prefix->masked()) : std::nullopt;
}

std::optional<Prefix> Prefix::parseAddress(std::string_view text) {
  return parsePrefix(text);
}

}  // namespace margay

namespace {

std::size_t mix(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace

std::size_t std::hash<margay::Address>::operator()(const margay::Address& address) const noexcept {
  const auto bytes = address.bytes();
  std::uint64_t words[2] = {0, 0};
  std::memcpy(words, bytes.data(), bytes.size());
  return mix(words[0] ^ mix(words[1] + bytes.size()));
}

std::size_t std::hash<margay::Prefix>::operator()(const margay::Prefix& prefix) const noexcept {
  return mix(std::hash<margay::Address>{}(prefix.address) + prefix.length);
}
