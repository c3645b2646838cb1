#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/address.h"
#include "dataplane/model/rule.h"

/// The binary form of a rule of legacy iptables: an `ipt_entry` or `ip6t_entry`, its matches, its
/// target, each aligned to 8 bytes, every unused byte zero.
namespace margay::dataplane::xtables {

inline constexpr std::size_t kAlignment = 8;
[[nodiscard]] constexpr std::size_t aligned(std::size_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

using EntryBytes = std::vector<std::byte>;

/// What an entry holds before its matches: the conditions that need no extension.
struct EntryHead {
  std::optional<NetMatch> source;
  std::optional<NetMatch> destination;
  std::optional<InterfaceMatch> in;
  std::optional<InterfaceMatch> out;
  std::optional<ProtocolMatch> protocol;
  bool goTo = false;
};

/// Collects matches and the target, in order, and puts them behind a head.
class EntryBuilder {
 public:
  template <class Info>
  void addMatch(std::string_view name, std::uint8_t revision, const Info& info) {
    static_assert(std::is_trivially_copyable_v<Info>);
    append(name, revision, &info, sizeof info);
  }
  /// After the last match.
  template <class Info>
  void setTarget(std::string_view name, std::uint8_t revision, const Info& info) {
    static_assert(std::is_trivially_copyable_v<Info>);
    targetOffset_ = body_.size();
    append(name, revision, &info, sizeof info);
  }
  /// A verdict ("ACCEPT") or the name of a chain, which libiptc resolves when it commits.
  void setStandardTarget(std::string_view name);

  [[nodiscard]] EntryBytes build(const EntryHead& head, Family family) const;

 private:
  void append(std::string_view name, std::uint8_t revision, const void* info, std::size_t size);
  EntryBytes body_;
  std::size_t targetOffset_ = 0;
};

/// One match or target within an entry.
struct ExtensionView {
  std::string_view name;
  std::uint8_t revision = 0;
  std::span<const std::byte> data;
};

/// A read-only look at an entry, also one that somebody else made. Bytes outlive the view.
class EntryView {
 public:
  EntryView(std::span<const std::byte> bytes, Family family);
  /// The entry that begins at `entry`; its length is in its header.
  static EntryView at(const void* entry, Family family);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::span<const std::byte> head() const;  ///< ipt_ip or ip6t_ip6
  [[nodiscard]] bool isGoTo() const;
  [[nodiscard]] ExtensionView target() const;
  /// Text of the comment match; empty if there is none.
  [[nodiscard]] std::string_view comment() const;

  /// Calls `visit(const ExtensionView&)` for each match in order.
  template <class Visit>
  void forEachMatch(Visit visit) const {
    for (auto offset = matchesBegin(); offset < targetOffset_;) {
      const auto size = extensionSize(offset);
      if (size == 0) return;
      visit(extension(offset, size));
      offset += size;
    }
  }

 private:
  [[nodiscard]] std::size_t matchesBegin() const;
  [[nodiscard]] std::size_t extensionSize(std::size_t offset) const;
  [[nodiscard]] ExtensionView extension(std::size_t offset, std::size_t size) const;

  std::span<const std::byte> bytes_;
  Family family_;
  std::size_t targetOffset_ = 0;
};

}  // namespace margay::dataplane::xtables
