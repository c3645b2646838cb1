#pragma once

#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Connection tracking of the network namespace in which the calling thread is now. An entry that
/// ends while it is being deleted does not count. `Errc::Unsupported` on a kernel without
/// ctnetlink.
///
/// The table is listed once and filtered here: 4 ms for 2,000 entries in 262,144 buckets, 125 ms
/// for 100,000. The kernel's own filter takes one address at one end, so it must walk the table
/// four times an address, and walking is what costs: 10 ms and 90 ms.
Result<std::unique_ptr<ConntrackDriver>> makeConntrackDriver();

}  // namespace margay::dataplane
