#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Connection tracking of the network namespace in which the calling thread is now. An entry that
/// ends while it is being deleted does not count. `Errc::Unsupported` on a kernel without
/// ctnetlink.
///
/// With less than `manyFlows` a address the table is listed whole and looked through here. With
/// more the kernel looks: its filter takes one address at one end, so it walks the table twice for
/// each, but it writes out a few flows only (bench/dataplane_conntrack: 2.3 times as fast among
/// 100,000).
Result<std::unique_ptr<ConntrackDriver>> makeConntrackDriver(std::size_t manyFlows = 20000);

}  // namespace margay::dataplane
