#pragma once

#include "base/result.h"
#include "dataplane/netlink_batch.h"
#include "dataplane/workload_wiring.h"

/// What wiring asks of rtnetlink, written by libnl-route.
namespace margay::dataplane {

/// Appends the making of the pair; the peer appears in the namespace `netnsFd`.
Result<void> putVethPair(NetlinkBatch& batch, const WorkloadWiring& wiring, int netnsFd);
Result<void> putLinkUp(NetlinkBatch& batch, int index);
Result<void> putLinkDelete(NetlinkBatch& batch, int index);
/// Appends a /32 or /128, usable at once.
Result<void> putHostAddress(NetlinkBatch& batch, int index, const Address& address);
/// Appends a route of protocol "boot"; without a gateway it has scope link.
Result<void> putContainerRoute(NetlinkBatch& batch, int index, const Prefix& destination,
                               const std::optional<Address>& gateway);
Result<void> putPermanentNeighbour(NetlinkBatch& batch, int index, const Address& address,
                                   const MacAddress& mac);

}  // namespace margay::dataplane
