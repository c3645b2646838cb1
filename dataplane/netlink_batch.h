#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace margay::dataplane {

/// Netlink messages one behind the other in one buffer, as the kernel takes them in one sendmsg.
/// Reuse one object: `clear` keeps the memory. Native byte order; callers swap what a protocol
/// wants swapped.
class NetlinkBatch {
 public:
  /// Starts a message. NLM_F_REQUEST is always set; the sequence number is the socket's business.
  void begin(std::uint16_t type, std::uint16_t flags);
  /// Sets the length of the message that `begin` started. Call it before the next `begin` and
  /// before sending.
  void end();
  /// A whole message that something else has built.
  void message(std::span<const std::uint8_t> encoded);

  /// The header of the family (rtmsg, ifinfomsg, ...), right after `begin`.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void header(const T& value) { std::memcpy(extend(align(sizeof value)), &value, sizeof value); }
  void attribute(std::uint16_t type, std::span<const std::uint8_t> payload);
  /// With the closing zero byte.
  void attribute(std::uint16_t type, std::string_view text);
  template <class T>
  requires std::is_integral_v<T>
  void attribute(std::uint16_t type, T value) {
    std::uint8_t bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    attribute(type, std::span<const std::uint8_t>(bytes));
  }
  /// Attributes that are encoded and padded already.
  void append(std::span<const std::uint8_t> attributes);
  /// Returns what `endNested` needs.
  [[nodiscard]] std::size_t beginNested(std::uint16_t type);
  void endNested(std::size_t start);

  void clear();
  [[nodiscard]] std::size_t messages() const { return messages_; }
  [[nodiscard]] std::span<std::uint8_t> bytes() { return {buffer_.data(), size_}; }

 private:
  [[nodiscard]] static constexpr std::size_t align(std::size_t length) {
    return (length + 3) & ~std::size_t{3};
  }
  /// `length` more zero bytes.
  std::uint8_t* extend(std::size_t length);

  std::vector<std::uint8_t> buffer_;
  std::size_t size_ = 0;
  std::size_t start_ = 0;  ///< of the message that is being built
  std::size_t messages_ = 0;
};

}  // namespace margay::dataplane
