#include "dataplane/xtables_info.h"

#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace margay::dataplane {
namespace xtables {
namespace {

static_assert(sizeof(ipt_getinfo) == sizeof(ip6t_getinfo));

int levelOf(Family family) {
  return family == Family::V4 ? IPPROTO_IP : IPPROTO_IPV6;
}

/// "ip" or "ip6": with what the names of the kernel's modules begin.
std::string modulePrefix(Family family) {
  return family == Family::V4 ? "ip" : "ip6";
}

std::string familyText(Family family) {
  return family == Family::V4 ? "IPv4" : "IPv6";
}

Fail tablesError(int cause, Family family) {
  const auto what = "legacy iptables for " + familyText(family) + ": ";
  if (cause == EPERM)
    return fail(Errc::Unsupported, what + "not permitted: run as root or with CAP_NET_ADMIN",
                cause);
  return fail(Errc::Unsupported,
              what + "not in this kernel: modprobe " + modulePrefix(family) +
                  "_tables, or use the nftables backend",
              cause);
}

}  // namespace

Result<InfoSocket> InfoSocket::open(Family family) {
  const int fd = socket(afOf(family), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd >= 0) return InfoSocket(fd, family);
  const int cause = errno;
  const auto what = "legacy iptables for " + familyText(family) + ": ";
  if (cause == EPERM)
    return fail(Errc::Unsupported, what + "not permitted: run as root or with CAP_NET_RAW", cause);
  if (cause == EAFNOSUPPORT || cause == EPROTONOSUPPORT)
    return fail(Errc::Unsupported, what + "the kernel does not speak " + familyText(family), cause);
  return Fail(systemError(cause, what + "open a raw socket"));
}

InfoSocket::InfoSocket(InfoSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), family_(other.family_) {}

InfoSocket& InfoSocket::operator=(InfoSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  return *this;
}

InfoSocket::~InfoSocket() {
  if (fd_ >= 0) close(fd_);
}

Result<TableFingerprint> InfoSocket::fingerprint(TableName table) const {
  ipt_getinfo info{};
  const auto name = tableText(table);
  std::copy(name.begin(), name.end(), info.name);
  socklen_t size = sizeof info;
  const int option = family_ == Family::V4 ? IPT_SO_GET_INFO : IP6T_SO_GET_INFO;
  if (getsockopt(fd_, levelOf(family_), option, &info, &size) != 0) {
    const int cause = errno;
    if (cause == EPERM || cause == ENOPROTOOPT) return tablesError(cause, family_);
    const auto id = TableId{family_, table}.str();
    if (cause == ENOENT)
      return fail(Errc::Unsupported,
                  "table " + id + " is not in this kernel: modprobe " + modulePrefix(family_) +
                      "table_" + std::string(name),
                  cause);
    return Fail(systemError(cause, "get the fingerprint of table " + id));
  }
  TableFingerprint out{info.num_entries, info.size, {}, {}};
  std::copy(std::begin(info.hook_entry), std::end(info.hook_entry), out.hooks.begin());
  std::copy(std::begin(info.underflow), std::end(info.underflow), out.underflows.begin());
  return out;
}

Result<void> InfoSocket::probe() const {
  // Every xtables has the target ERROR, revision 0; asking for it makes no table.
  xt_get_revision revision{};
  const std::string_view name = XT_ERROR_TARGET;
  std::copy(name.begin(), name.end(), revision.name);
  socklen_t size = sizeof revision;
  const int option =
      family_ == Family::V4 ? IPT_SO_GET_REVISION_TARGET : IP6T_SO_GET_REVISION_TARGET;
  if (getsockopt(fd_, levelOf(family_), option, &revision, &size) != 0)
    return tablesError(errno, family_);
  return {};
}

}  // namespace xtables

Result<void> probeLegacyTables(Family family) {
  const auto socket = xtables::InfoSocket::open(family);
  if (!socket) return Fail(socket.error());
  return socket->probe();
}

}  // namespace margay::dataplane
