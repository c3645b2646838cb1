#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/model/network.h"
#include "dataplane/netlink_batch.h"
#include "dataplane/netlink_interfaces.h"

struct nlmsghdr;

/// Routes as rtnetlink writes them. Pure but for the names of interfaces, which the caller looks
/// up.
namespace margay::dataplane {

/// How an RTM_NEWROUTE treats a route that has the key already.
enum class IfPresent : std::uint8_t { Refuse, Replace };

/// Appends RTM_NEWROUTE. `index` is that of `route.device`, 0 if it is empty.
void putNewRoute(NetlinkBatch& batch, const Route& route, int index, IfPresent ifPresent);
/// Appends RTM_DELROUTE that matches only routes of our protocol.
void putDeleteRoute(NetlinkBatch& batch, const RouteKey& key);
/// Appends a dump request. `protocol` 0 is every protocol, `table` 0 every table.
void putRouteDump(NetlinkBatch& batch, Family family, std::uint8_t protocol, std::uint32_t table);

/// The key as the kernel stores it: IPv6 has no metric 0, it becomes 1024.
[[nodiscard]] RouteKey storedKey(RouteKey key);

struct RouteEntry {
  Route route;  ///< without device
  int index = 0;
  std::uint8_t protocol = 0;
};
/// One entry of a dump. No value for clones, multicast and routes with a type of service or a
/// source prefix, which our keys cannot name. A route with several next hops has neither device nor
/// gateway, so that it differs from every route that one can want.
[[nodiscard]] std::optional<RouteEntry> parseRoute(const nlmsghdr& message);

}  // namespace margay::dataplane
