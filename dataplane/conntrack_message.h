#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "dataplane/netlink_batch.h"

struct nlmsghdr;

/// ctnetlink as the kernel speaks it. Pure.
namespace margay::dataplane {

/// Source and destination of the original direction, then of the reply direction. They differ by
/// NAT.
using FlowAddresses = std::array<Address, 4>;

/// Appends a dump of both families.
void putFlowDump(NetlinkBatch& batch);

/// No value if the message is no entry.
[[nodiscard]] std::optional<FlowAddresses> flowAddresses(const nlmsghdr& entry);

/// What names one entry: a younger one of the same tuple is another.
struct FlowIdentity {
  std::uint8_t family = 0;               ///< AF_INET, AF_INET6
  std::vector<std::uint8_t> attributes;  ///< as they came
};
[[nodiscard]] FlowIdentity flowIdentity(const nlmsghdr& entry);
/// Appends the deletion of exactly this entry.
void putFlowDelete(NetlinkBatch& batch, const FlowIdentity& flow);

}  // namespace margay::dataplane
