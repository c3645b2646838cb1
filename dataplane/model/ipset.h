#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/shared_string.h"
#include "dataplane/model/network.h"

namespace margay::dataplane {

/// Name of an ipset, at most 31 bytes. Ours begin with kSetPrefix and nobody else's do.
using SetName = std::string;
inline constexpr std::string_view kSetPrefix = "mgy";

/// Two that only nftables has: NumberMap gives the number of (interface, address); HashAddress is a
/// HashNet of single addresses, which costs a packet a fraction of what intervals cost.
enum class SetType : std::uint8_t { HashNet, HashIpPort, HashNetIface, NumberMap, HashAddress };

/// What a set is created with; a set whose spec differs from what is desired is made anew.
struct SetSpec {
  SetName name;
  SetType type = SetType::HashNet;
  Family family = Family::V4;
  std::uint32_t maxElements = 1048576;
  auto operator<=>(const SetSpec&) const = default;
};

/// One element. HashNet uses `net`, HashAddress too (a host); HashIpPort uses `net` (a host),
/// `protocol` and `port`; HashNetIface uses `net` and `device`; NumberMap uses `net` (a host),
/// `device` and `target`.
/// hash:net cannot hold a /0: callers put the two /1 in its place.
struct SetMember {
  Prefix net;
  std::uint8_t protocol = 0;  ///< IPPROTO_*
  std::uint16_t port = 0;     ///< host order
  SharedString device;
  SharedString target;  ///< a number as `numberText` writes it
  auto operator<=>(const SetMember&) const = default;
  /// As ipset prints it: "10.0.0.1", "10.0.0.0/24", "10.0.0.1,tcp:80", "10.0.0.1,cali0"; a
  /// target follows as " -> 0x0000002a".
  [[nodiscard]] std::string str() const;
};

/// "0x0000002a", as nft shows what it calls a mark.
[[nodiscard]] std::string numberText(std::uint32_t number);

/// Header of a set in the kernel: what IPSET_CMD_LIST gives without the elements.
struct SetHeader {
  SetSpec spec;
  std::uint32_t entries = 0;
  std::uint32_t references = 0;
  bool operator==(const SetHeader&) const = default;
};

}  // namespace margay::dataplane

template <>
struct std::hash<margay::dataplane::SetMember> {
  std::size_t operator()(const margay::dataplane::SetMember& member) const noexcept;
};
