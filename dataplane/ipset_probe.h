#pragma once

#include "base/result.h"

namespace margay::dataplane {

/// Whether the kernel has ipset and the set types that we make, and whether we may use them, in the
/// calling thread's network namespace. `Errc::Unsupported` says in one line what is missing and
/// what to do. Loads kernel modules where the system lets it; changes nothing else.
Result<void> probeIpset();

}  // namespace margay::dataplane
