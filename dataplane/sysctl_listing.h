#pragma once

#include "base/result.h"
#include "dataplane/model/network.h"
#include "dataplane/netlink_socket.h"

namespace margay::dataplane {

/// Settings of all interfaces, by their paths below /proc/sys, in one dump of links: of IPv4
/// forwarding, proxy_arp, route_localnet and rp_filter, of IPv6 accept_ra, forwarding and
/// proxy_ndp. `Errc::Interrupted` if the dump was torn.
Result<SysctlMap> listInterfaceSettings(NetlinkSocket& socket);

}  // namespace margay::dataplane
