#pragma once

#include <memory>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// The interfaces and addresses of the network namespace in which the calling thread is now. Both
/// lists are one dump each. Temporary and tentative IPv6 addresses are listed as well.
Result<std::unique_ptr<LinkDriver>> makeLinkDriver();

}  // namespace margay::dataplane
