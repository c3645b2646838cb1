#pragma once

#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Permanent ARP and NDP entries, in the network namespace in which the calling thread is now. An
/// Add or Replace takes over whatever entry the kernel had learned for the address. A removal takes
/// the entry of any state. A missing device is `Errc::NotFound` for Add and Replace, and success
/// for Remove.
Result<std::unique_ptr<NeighbourDriver>> makeNeighbourDriver();

}  // namespace margay::dataplane
