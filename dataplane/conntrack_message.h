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

/// Where an entry has addresses: source and destination, each in the original and the reply
/// direction.
enum class FlowEnd : std::uint8_t {
  OriginalSource,
  OriginalDestination,
  ReplySource,
  ReplyDestination
};
inline constexpr std::array kFlowEnds{FlowEnd::OriginalSource, FlowEnd::OriginalDestination,
                                      FlowEnd::ReplySource, FlowEnd::ReplyDestination};
using FlowAddresses = std::array<Address, kFlowEnds.size()>;  ///< indexed by FlowEnd

/// Appends a dump of both families.
void putFlowDump(NetlinkBatch& batch);
/// Appends a dump of the entries that have `address` at `end`. Kernels before 5.8 list everything.
void putFlowDump(NetlinkBatch& batch, const Address& address, FlowEnd end);

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
