#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unset_bytes.h"
#include "dataplane/model/ipset.h"

struct nlmsghdr;

/// The wire form of ipset's netlink protocol: requests laid out by hand, answers taken apart. No
/// I/O.
namespace margay::dataplane {

/// What the kernel must know of a set to read a member, and we to write one.
struct SetShape {
  SetType type = SetType::HashNet;
  Family family = Family::V4;
  bool operator==(const SetShape&) const = default;
};

/// "hash:net", "hash:ip,port", "hash:net,iface".
[[nodiscard]] const char* kernelTypeName(SetType type);
[[nodiscard]] std::optional<SetType> setTypeOf(std::string_view kernelName);

/// Why no set of this shape can hold `member`, without what names it; nullptr if it can. O(1), no
/// allocation.
[[nodiscard]] const char* memberProblem(const SetShape& shape, const SetMember& member);

/// One or more netlink messages in one buffer that is allocated once.
class IpsetMessages {
 public:
  /// No element of ours takes more.
  static constexpr std::size_t kMaxElementBytes = 96;

  explicit IpsetMessages(std::size_t capacity) : buffer_(capacity) {}
  void clear() { size_ = 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t room() const { return buffer_.size() - size_; }
  [[nodiscard]] std::span<const std::byte> view() const { return {buffer_.data(), size_}; }

  /// Begins a message with the protocol version. `flags` are NLM_F_* beside NLM_F_REQUEST.
  void begin(std::uint8_t command, std::uint16_t flags, std::uint32_t sequence);
  void putString(std::uint16_t attribute, std::string_view text);
  void putU8(std::uint16_t attribute, std::uint8_t value);
  void putNetU32(std::uint16_t attribute, std::uint32_t value);
  /// Opens the list of elements of a batch, whose failing one the kernel names by its line.
  void beginElements();
  /// Bytes of the open list; a list cannot grow beyond 64 KiB.
  [[nodiscard]] std::size_t elementBytes() const { return size_ - elements_; }
  /// One element with IPSET_ATTR_LINENO `line` (from 1; 0 leaves it out). `member` must fit its
  /// set.
  void putElement(const SetMember& member, std::uint32_t line);
  void endElements();
  /// Ends the open message; with `flags` more.
  void end(std::uint16_t flags = 0);

 private:
  UnsetBytes buffer_;
  std::size_t size_ = 0;
  std::size_t message_ = 0;
  std::size_t elements_ = 0;
};

/// The line that an error answer to a batch names, 0 if it names none.
[[nodiscard]] std::uint32_t failedLine(const nlmsghdr& error);

/// Name of the set of a part of a listing; empty if it has none.
[[nodiscard]] std::string_view listedName(const nlmsghdr& part);
/// Type and family, if both are among those that we make.
[[nodiscard]] std::optional<SetShape> listedShape(const nlmsghdr& part);
/// Header of a set of the given name. A set that `create` could not have made (another type,
/// timeouts) has maxElements 0, so that it equals no SetSpec that anyone wants. No value if the
/// part has no header.
[[nodiscard]] std::optional<SetHeader> listedHeader(const nlmsghdr& part);
/// Appends the elements of a part. What somebody else put on them (timeout, comment, counters,
/// nomatch) is not shown; elements for bridge ports ("physdev:") are left out, for no packet of
/// ours matches them.
void listedMembers(const nlmsghdr& part, const SetShape& shape, std::vector<SetMember>& out);

}  // namespace margay::dataplane
