#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace margay::dataplane {

/// Translates between the name of an ipset and the index under which rules of iptables refer to it,
/// in the network namespace in which it was opened. An index stays with a name over a swap and is
/// free for another set after a destroy. One system call a look-up. One thread.
class SetIndex {
 public:
  /// `Errc::Unsupported` without CAP_NET_ADMIN or IPv4 raw sockets.
  static Result<SetIndex> open();
  SetIndex(SetIndex&& other) noexcept;
  SetIndex& operator=(SetIndex&& other) noexcept;
  ~SetIndex();

  /// `Errc::NotFound` if there is no such set, `Errc::Invalid` if no set can have this name,
  /// `Errc::Unsupported` if the kernel has no ipset. Does not reference the set.
  [[nodiscard]] Result<std::uint16_t> indexOf(std::string_view name) const;
  /// `Errc::NotFound` if there is no set with this index.
  [[nodiscard]] Result<std::string> nameOf(std::uint16_t index) const;

 private:
  explicit SetIndex(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace margay::dataplane
