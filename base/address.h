#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace margay {

enum class Family : std::uint8_t { V4 = 4, V6 = 6 };

/// Bits of an address of the family: 32 or 128.
[[nodiscard]] constexpr std::uint8_t addressBits(Family family) {
  return family == Family::V4 ? 32 : 128;
}
/// AF_INET or AF_INET6, which are also NFPROTO_IPV4 and NFPROTO_IPV6.
[[nodiscard]] int afOf(Family family);

/// An IPv4 or IPv6 address. Bytes are in network order; an IPv4 address uses the first four, the
/// rest are zero. Ordered by family, then bytes.
class Address {
 public:
  constexpr Address() = default;
  static Address v4(std::uint32_t hostOrder);
  /// `bytes` has 4 or 16 bytes in network order.
  static Address fromBytes(std::span<const std::uint8_t> bytes);
  /// Dotted quad, or RFC 4291 text. No zone, no prefix length, no blanks.
  static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return {bytes_.data(), family_ == Family::V4 ? std::size_t{4} : std::size_t{16}};
  }
  /// As RFC 5952 writes it.
  [[nodiscard]] std::string str() const;
  auto operator<=>(const Address&) const = default;

 private:
  Family family_ = Family::V4;
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address with a prefix length. `masked()` values compare equal exactly when they cover the
/// same addresses; every Prefix made by `parseNetwork` or `host` is masked.
struct Prefix {
  Address address;
  std::uint8_t length = 0;

  [[nodiscard]] Family family() const { return address.family(); }
  [[nodiscard]] bool isHost() const { return length == addressBits(family()); }
  [[nodiscard]] bool contains(const Address& other) const;
  [[nodiscard]] bool contains(const Prefix& other) const;
  /// Host bits set to zero.
  [[nodiscard]] Prefix masked() const;
  /// "10.0.0.1/32": always with the length.
  [[nodiscard]] std::string str() const;
  auto operator<=>(const Prefix&) const = default;

  static Prefix host(const Address& address);
  /// "10.1.2.3/24" -> 10.1.2.0/24; an address without a length is a host. No value if it is
  /// neither.
  static std::optional<Prefix> parseNetwork(std::string_view text);
  /// As `parseNetwork`, but keeps host bits (for addresses of interfaces).
  static std::optional<Prefix> parseAddress(std::string_view text);
};

}  // namespace margay

template <>
struct std::hash<margay::Address> {
  std::size_t operator()(const margay::Address& address) const noexcept;
};
template <>
struct std::hash<margay::Prefix> {
  std::size_t operator()(const margay::Prefix& prefix) const noexcept;
};
