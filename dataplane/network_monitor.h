#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Notifications of the network namespace in which the calling thread is now. Only message types
/// are read, and a socket filter keeps what cannot concern us out of the queue:
/// - routes of other protocols, except one that replaces a route, which may have been ours;
/// - neighbour entries that are not permanent, except deletions, which no longer tell what they
/// were. The kernel drops routes without a notification when their device goes down or their source
/// address goes away, so these also report `routes`. Changes that we make ourselves are reported as
/// well, but for routes that `RouteDriver::port` of `routePort` made or removed; 0: for none.
Result<std::unique_ptr<NetworkMonitor>> makeNetworkMonitor(std::uint32_t routePort = 0);

}  // namespace margay::dataplane
