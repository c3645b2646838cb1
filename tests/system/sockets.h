#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "tests/dataplane/network_namespace.h"

namespace margay::system_tests {

struct From {
  /// None: the calling thread's.
  const testing::NetworkNamespace* where = nullptr;
  /// Source address and port to bind to; none: the kernel's choice.
  std::optional<Address> address;
  std::uint16_t port = 0;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress socketAddress(const Address& address, std::uint16_t port);

/// A socket that does not block, bound as `from` says; fails the test and gives -1 where it cannot.
int socketIn(const From& from, Family family, int type, int protocol);

}  // namespace margay::system_tests
