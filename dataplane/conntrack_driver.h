#pragma once

#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Connection tracking of the network namespace in which the calling thread is now. For one or two
/// addresses the kernel filters (since 5.8), which costs about a tenth of a list of the whole
/// table; for more, and on older kernels, the table is listed once. An entry that ends while it is
/// being deleted does not count. `Errc::Unsupported` on a kernel without ctnetlink.
Result<std::unique_ptr<ConntrackDriver>> makeConntrackDriver();

}  // namespace margay::dataplane
