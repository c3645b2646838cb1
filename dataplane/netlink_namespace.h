#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace margay::dataplane {

/// A network namespace of somebody else, held open: it lives at least as long as this object.
class NamespaceHandle {
 public:
  /// `where` is a path ("/proc/7/ns/net", "/var/run/netns/cni-1234"), a name that `ip netns` knows,
  /// or the number of a process. `Errc::NotFound` if there is none, `Errc::Invalid` if it is
  /// something else.
  static Result<NamespaceHandle> open(std::string_view where);
  NamespaceHandle(NamespaceHandle&& other) noexcept;
  NamespaceHandle& operator=(NamespaceHandle&& other) noexcept;
  ~NamespaceHandle();

  [[nodiscard]] int fd() const { return fd_; }
  /// Whether the calling thread is in it.
  [[nodiscard]] Result<bool> isOwn() const;
  /// Runs `work` in the namespace, on a thread made for it (about 0.1 ms), so that the calling
  /// thread never leaves its own. Returns when it is done. Sockets that `work` opens stay in the
  /// namespace.
  Result<void> run(const std::function<Result<void>()>& work) const;

 private:
  explicit NamespaceHandle(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace margay::dataplane
