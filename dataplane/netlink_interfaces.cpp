#include "dataplane/netlink_interfaces.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace margay::dataplane {

Result<InterfaceNames> InterfaceNames::open() {
  // if_nametoindex() would ask in whichever namespace the thread is then, and open a socket each
  // time.
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail(systemError(errno, "open a socket for interface names"));
  return InterfaceNames(fd);
}

InterfaceNames::InterfaceNames(InterfaceNames&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      indexes_(std::move(other.indexes_)),
      names_(std::move(other.names_)) {}

InterfaceNames& InterfaceNames::operator=(InterfaceNames&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(indexes_, other.indexes_);
  std::swap(names_, other.names_);
  return *this;
}

InterfaceNames::~InterfaceNames() {
  if (fd_ >= 0) ::close(fd_);
}

void InterfaceNames::forget() {
  indexes_.clear();
  names_.clear();
}

int InterfaceNames::indexOf(const IfName& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return 0;
  const auto [entry, isNew] = indexes_.try_emplace(name, 0);
  if (isNew) {
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), name.size());
    if (::ioctl(fd_, SIOCGIFINDEX, &request) == 0) entry->second = request.ifr_ifindex;
  }
  return entry->second;
}

const IfName& InterfaceNames::nameOf(int index) {
  const auto [entry, isNew] = names_.try_emplace(index);
  if (isNew) {
    ifreq request{};
    request.ifr_ifindex = index;
    if (::ioctl(fd_, SIOCGIFNAME, &request) == 0) {
      entry->second.assign(request.ifr_name, ::strnlen(request.ifr_name, IFNAMSIZ));
    }
  }
  return entry->second;
}

}  // namespace margay::dataplane
