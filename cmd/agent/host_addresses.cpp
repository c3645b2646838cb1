#include "cmd/agent/host_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>

namespace margay::agent {
namespace {

std::optional<Address> addressOf(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, address, sizeof four);
    return Address::v4(ntohl(four.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 six{};
  std::memcpy(&six, address, sizeof six);
  return Address::fromBytes(six.sin6_addr.s6_addr);
}

std::uint8_t lengthOf(const Address& mask) {
  int length = 0;
  for (const std::uint8_t byte : mask.bytes()) length += std::popcount(byte);
  return static_cast<std::uint8_t>(length);
}

}  // namespace

Result<std::vector<HostInterface>> hostInterfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return Fail(systemError(errno, "list addresses"));
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::map<unsigned, HostInterface> byIndex;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0) continue;
    const auto address = addressOf(entry->ifa_addr);
    const auto mask = addressOf(entry->ifa_netmask);
    if (!address || !mask) continue;
    auto& interface = byIndex[::if_nametoindex(entry->ifa_name)];
    interface.name = entry->ifa_name;
    interface.addresses.push_back({*address, lengthOf(*mask)});
  }
  std::vector<HostInterface> out;
  out.reserve(byIndex.size());
  for (auto& [index, interface] : byIndex) out.push_back(std::move(interface));
  std::reverse(out.begin(), out.end());
  return out;
}

std::optional<Address> sourceTowards(const std::string& destination, Family family) {
  addrinfo hints{};
  hints.ai_family = afOf(family);
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(destination.c_str(), "80", &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  auto* generic = reinterpret_cast<sockaddr*>(&own);
  const bool known = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(fd, generic, &size) == 0;
  ::close(fd);
  return known ? addressOf(generic) : std::nullopt;
}

}  // namespace margay::agent
