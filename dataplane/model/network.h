#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/address.h"

/// Plain values of the routing side of the kernel. Keys are what the kernel indexes by.
namespace margay::dataplane {

/// Kernel name of a network interface, at most 15 bytes.
using IfName = std::string;
using MacAddress = std::array<std::uint8_t, 6>;

/// rtm_protocol of every route that we own: what tells ours from everybody else's. 0x6d, 'm'; not
/// in iproute2's rt_protos, so `ip route` shows "proto 109".
inline constexpr std::uint8_t kRouteProtocol = 109;
inline constexpr std::uint32_t kMainTable = 254;

enum class RouteType : std::uint8_t { Unicast, Blackhole };
enum class RouteScope : std::uint8_t { Universe, Link };

struct RouteKey {
  Prefix destination;
  std::uint32_t table = kMainTable;
  std::uint32_t metric = 0;  ///< IPv6: 0 is stored by the kernel as 1024
  auto operator<=>(const RouteKey&) const = default;
};

struct Route {
  RouteKey key;
  RouteType type = RouteType::Unicast;
  RouteScope scope = RouteScope::Universe;  ///< IPv6 ignores it: always Universe when read back
  IfName device;  ///< empty: the kernel finds it from the gateway, or a blackhole
  std::optional<Address> gateway;
  std::optional<Address> source;
  bool onLink = false;
  bool operator==(const Route&) const = default;
};
using RouteMap = std::map<RouteKey, Route>;

struct NeighbourKey {
  IfName device;
  Address address;
  auto operator<=>(const NeighbourKey&) const = default;
};

/// A permanent ARP or NDP entry. Ours are those that are NUD_PERMANENT on an interface of ours.
struct Neighbour {
  NeighbourKey key;
  MacAddress mac{};
  bool operator==(const Neighbour&) const = default;
};
using NeighbourMap = std::map<NeighbourKey, Neighbour>;

/// What the agent needs to know of an interface. Keyed by name; the index changes when a device is
/// made again under its old name.
struct Link {
  IfName name;
  int index = 0;
  bool up = false;       ///< IFF_UP
  bool running = false;  ///< IFF_LOWER_UP
  MacAddress mac{};
  std::uint32_t mtu = 0;
  std::string kind;  ///< "veth", "bridge", ... empty for plain devices
  bool operator==(const Link&) const = default;
};
using LinkMap = std::map<IfName, Link>;

/// An address of an interface of the host.
struct InterfaceAddress {
  IfName device;
  Prefix address;  ///< with host bits
  auto operator<=>(const InterfaceAddress&) const = default;
};

/// Path below /proc/sys with '/' as separator ("net/ipv4/conf/cali1/proxy_arp") -> value without
/// newline.
using SysctlMap = std::map<std::string, std::string>;

[[nodiscard]] std::string formatMac(const MacAddress& mac);
[[nodiscard]] std::optional<MacAddress> parseMac(std::string_view text);

}  // namespace margay::dataplane
