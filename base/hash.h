#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace margay {

/// Lower-case hex of SHA-1 (Calico names veths with it).
[[nodiscard]] std::string sha1Hex(std::string_view data);
/// Raw digests.
[[nodiscard]] std::array<std::uint8_t, 28> sha224(std::string_view data);
[[nodiscard]] std::array<std::uint8_t, 32> sha256(std::string_view data);
/// RFC 4648 section 5, without padding.
[[nodiscard]] std::string base64Url(std::string_view data);
/// The first `digits` (at most 64) lower-case hex digits of SHA-256: short names for content.
[[nodiscard]] std::string contentHash(std::string_view data, std::size_t digits);

}  // namespace margay
