#pragma once

#include <string>

#include "base/result.h"

namespace margay::agent {

/// The right to change the kernel: one process has it at a time for a MARGAY_RUN_DIR. It goes with
/// the object or the process, however that ends; the file stays and means nothing by itself.
class RunLock {
 public:
  /// `what` tells others who has it, such as "margay-node --once". `Errc::Invalid` with one line
  /// that names the process that has it and what to do.
  static Result<RunLock> take(const std::string& runDir, const std::string& what);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace margay::agent
