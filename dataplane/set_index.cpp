#include "dataplane/set_index.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace margay::dataplane {
namespace {

/// Kernels before 4.20 accept exactly 6 here, later ones 6 and above.
constexpr unsigned kVersion = IPSET_PROTOCOL_MIN;

Result<ip_set_req_get_set> query(int fd, ip_set_req_get_set request, std::string_view context) {
  request.version = kVersion;
  socklen_t size = sizeof request;
  if (getsockopt(fd, SOL_IP, SO_IP_SET, &request, &size) == 0) return request;
  const int cause = errno;
  if (cause == ENOPROTOOPT) {
    return fail(Errc::Unsupported,
                std::string(context) +
                    ": the kernel has no ipset: modprobe ip_set, or build it with CONFIG_IP_SET",
                cause);
  }
  return Fail(systemError(cause, context));
}

}  // namespace

Result<SetIndex> SetIndex::open() {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0)
    return Fail(systemError(
        errno, "open a raw socket to look up ipsets (needs CAP_NET_RAW, CAP_NET_ADMIN)"));
  return SetIndex(fd);
}

SetIndex::SetIndex(SetIndex&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

SetIndex& SetIndex::operator=(SetIndex&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

SetIndex::~SetIndex() {
  if (fd_ >= 0) close(fd_);
}

Result<std::uint16_t> SetIndex::indexOf(std::string_view name) const {
  const std::string context = "look up ipset " + std::string(name);
  if (name.empty() || name.size() >= IPSET_MAXNAMELEN ||
      name.find('\0') != std::string_view::npos) {
    return fail(Errc::Invalid, context + ": a set's name has 1 to 31 bytes");
  }
  ip_set_req_get_set request{};
  request.op = IP_SET_OP_GET_BYNAME;
  std::copy(name.begin(), name.end(), request.set.name);
  const auto answer = query(fd_, request, context);
  if (!answer) return Fail(answer.error());
  // The kernel answers an unknown name with success and the invalid index.
  if (answer->set.index == IPSET_INVALID_ID) return fail(Errc::NotFound, context + ": no such set");
  return answer->set.index;
}

Result<std::string> SetIndex::nameOf(std::uint16_t index) const {
  const std::string context = "look up ipset with index " + std::to_string(index);
  ip_set_req_get_set request{};
  request.op = IP_SET_OP_GET_BYINDEX;
  request.set.index = index;
  const auto answer = query(fd_, request, context);
  // An index beyond the kernel's table is EINVAL, a free one within it an empty name.
  if (!answer && answer.error().sysErrno == EINVAL)
    return fail(Errc::NotFound, context + ": no such set", EINVAL);
  if (!answer) return Fail(answer.error());
  std::string name(answer->set.name, strnlen(answer->set.name, IPSET_MAXNAMELEN));
  if (name.empty()) return fail(Errc::NotFound, context + ": no such set");
  return name;
}

}  // namespace margay::dataplane
