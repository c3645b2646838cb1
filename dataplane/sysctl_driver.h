#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Files below /proc/sys. What is below net/ is that of the network namespace in which the calling
/// thread is at the call, not at the making. `read` gives the value without surrounding white
/// space; many entries read back other text than was written ("0x10" as "16"). A path that is
/// absolute, empty, or has an empty,
/// "." or ".." component is `Errc::Invalid`. An entry that the kernel does not let us write is
/// `Errc::Unsupported`.
Result<std::unique_ptr<SysctlDriver>> makeSysctlDriver();
/// The same with `root` in place of /proc/sys: a container may have that mounted elsewhere, so that
/// it can be written.
Result<std::unique_ptr<SysctlDriver>> makeSysctlDriverAt(const std::string& root);

}  // namespace margay::dataplane
