#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace margay::dataplane::xtables {

/// The lock that iptables, iptables-restore and kube-proxy hold while they change a legacy table,
/// of all families. Held for the life of the object.
class Lock {
 public:
  /// Makes the file if it is missing. `Errc::Transient`, naming the file, when somebody else holds
  /// the lock for longer than `timeout`. Blocks the calling thread until then.
  static Result<Lock> acquire(const std::string& path, std::chrono::milliseconds timeout);
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&& other) noexcept;
  ~Lock();

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace margay::dataplane::xtables
