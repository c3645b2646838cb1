#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "dataplane/netlink_batch.h"

struct nlmsghdr;

/// ctnetlink as the kernel speaks it. Pure.
namespace margay::dataplane {

/// Who a flow is between, behind all NAT.
struct FlowEnds {
  Address originator;  ///< source of the original direction
  Address responder;   ///< source of the reply direction
};
enum class FlowEnd : std::uint8_t { Originator, Responder };

/// Appends a dump of both families.
void putFlowDump(NetlinkBatch& batch);
/// Appends a dump of the flows that have `address` at this end. Linux before 5.8 gives all flows.
void putFlowDump(NetlinkBatch& batch, FlowEnd end, const Address& address);

/// No value if the message is no entry.
[[nodiscard]] std::optional<FlowEnds> flowEnds(const nlmsghdr& entry);

/// What names one entry: a younger one of the same tuple is another.
struct FlowIdentity {
  std::uint8_t family = 0;               ///< AF_INET, AF_INET6
  std::vector<std::uint8_t> attributes;  ///< as they came
};
[[nodiscard]] FlowIdentity flowIdentity(const nlmsghdr& entry);
/// Appends the deletion of exactly this entry.
void putFlowDelete(NetlinkBatch& batch, const FlowIdentity& flow);

}  // namespace margay::dataplane
