#include "tests/system/sockets.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace margay::system_tests {

SocketAddress socketAddress(const Address& address, std::uint16_t port) {
  SocketAddress out;
  if (address.family() == Family::V4) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&four.sin_addr, address.bytes().data(), 4);
    std::memcpy(&out.storage, &four, sizeof four);
    out.size = sizeof four;
  } else {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&six.sin6_addr, address.bytes().data(), 16);
    std::memcpy(&out.storage, &six, sizeof six);
    out.size = sizeof six;
  }
  return out;
}

int socketIn(const From& from, Family family, int type, int protocol) {
  std::optional<testing::NetworkNamespace::Entered> entered;
  if (from.where != nullptr) entered.emplace(from.where->enter());
  const int fd = socket(afOf(family), type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return fd;
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (from.address || from.port != 0) {
    const auto any = family == Family::V4 ? Address::v4(0) : *Address::parse("::");
    const auto local = socketAddress(from.address.value_or(any), from.port);
    if (bind(fd, local.get(), local.size) != 0) {
      ADD_FAILURE() << "bind " << from.address.value_or(any).str() << ": " << std::strerror(errno);
      close(fd);
      return -1;
    }
  }
  return fd;
}

}  // namespace margay::system_tests
