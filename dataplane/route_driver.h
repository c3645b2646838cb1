#pragma once

#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// The kernel's routes, in the network namespace in which the calling thread is now.
///
/// Changes go in batches of thousands a sendmsg; 100,000 additions run at more than half of the
/// kernel's own rate (bench/dataplane_routes). What decides about a key that exists already:
/// - nobody else's route is replaced: an Add or Replace of a key that a route of another protocol
/// holds is
///   `Errc::Invalid` and names the protocol. The kernel's own "replace" looks at the key alone, so
///   the owner is looked up first. That lists the table once, for an `apply` with a Replace or an
///   Add of what exists. A route that someone puts there in the microseconds between is lost.
/// - IPv6 keeps several routes of one key. If any of them is foreign the key counts as foreign.
/// - of several changes of one key in one `apply` the last one that succeeds wins.
/// - IPv4 cannot remove "the route without a metric": such a removal matches any metric. If ours
/// have
///   metrics, the routes are listed before an `apply` that has one.
/// A device or gateway that is not there (yet) is `Errc::NotFound` or `Errc::Transient`.
Result<std::unique_ptr<RouteDriver>> makeRouteDriver();

}  // namespace margay::dataplane
