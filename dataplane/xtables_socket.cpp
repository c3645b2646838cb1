#include "dataplane/xtables_socket.h"

#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

namespace margay::dataplane {
namespace xtables {
namespace {

static_assert(sizeof(ipt_getinfo) == sizeof(ip6t_getinfo));
static_assert(sizeof(ipt_replace) == sizeof(ip6t_replace));
constexpr std::size_t kEntriesHeader = offsetof(ipt_get_entries, entrytable);
static_assert(kEntriesHeader == offsetof(ip6t_get_entries, entrytable));
static_assert(sizeof(ipt_replace) <= TableEntries::Buffer::kRoom);
static_assert(kEntriesHeader <= TableEntries::Buffer::kRoom);

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

Result<TableSocket> TableSocket::open(Family family) {
  const int fd = socket(afOf(family), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd >= 0) return TableSocket(fd, family);
  const int cause = errno;
  const auto what = "legacy iptables for " + familyText(family) + ": ";
  if (cause == EPERM)
    return fail(Errc::Unsupported, what + "not permitted: run as root or with CAP_NET_RAW", cause);
  if (cause == EAFNOSUPPORT || cause == EPROTONOSUPPORT)
    return fail(Errc::Unsupported, what + "the kernel does not speak " + familyText(family), cause);
  return Fail(systemError(cause, what + "open a raw socket"));
}

TableSocket::TableSocket(TableSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), family_(other.family_) {}

TableSocket& TableSocket::operator=(TableSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  return *this;
}

TableSocket::~TableSocket() {
  if (fd_ >= 0) close(fd_);
}

Result<TableFingerprint> TableSocket::fingerprint(TableName table) const {
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

Result<TableEntries> TableSocket::entries(TableName table, TableEntries::Buffer room) const {
  ipt_getinfo info{};
  const auto name = tableText(table);
  std::copy(name.begin(), name.end(), info.name);
  socklen_t size = sizeof info;
  const auto what = [&] { return "read table " + TableId{family_, table}.str(); };
  const int askInfo = family_ == Family::V4 ? IPT_SO_GET_INFO : IP6T_SO_GET_INFO;
  if (getsockopt(fd_, levelOf(family_), askInfo, &info, &size) != 0)
    return Fail(systemError(errno, what()));
  room.resize(info.size);
  TableEntries out{info.valid_hooks, {}, {}, info.num_entries, std::move(room)};
  ipt_get_entries header{};
  std::copy(name.begin(), name.end(), header.name);
  header.size = info.size;
  auto* answer = out.bytes.header(kEntriesHeader);
  std::memcpy(answer, &header, kEntriesHeader);
  size = static_cast<socklen_t>(kEntriesHeader + info.size);
  const int askEntries = family_ == Family::V4 ? IPT_SO_GET_ENTRIES : IP6T_SO_GET_ENTRIES;
  if (getsockopt(fd_, levelOf(family_), askEntries, answer, &size) != 0) {
    auto error = systemError(errno, what());
    if (error.sysErrno == EAGAIN) error.code = Errc::Stale;
    return Fail(std::move(error));
  }
  std::copy(std::begin(info.hook_entry), std::end(info.hook_entry), out.hookEntries.begin());
  std::copy(std::begin(info.underflow), std::end(info.underflow), out.underflows.begin());
  return out;
}

Result<void> TableSocket::replace(TableName table, const TableReplacement& replacement) const {
  const auto& entries = replacement.entries;
  std::vector<xt_counters> before(replacement.countBefore);
  ipt_replace header{};
  const auto name = tableText(table);
  std::copy(name.begin(), name.end(), header.name);
  header.valid_hooks = entries.validHooks;
  header.num_entries = entries.count;
  header.size = static_cast<unsigned>(entries.bytes.size());
  std::copy(entries.hookEntries.begin(), entries.hookEntries.end(), header.hook_entry);
  std::copy(entries.underflows.begin(), entries.underflows.end(), header.underflow);
  header.num_counters = replacement.countBefore;
  header.counters = before.data();
  auto* message = entries.bytes.header(sizeof header);
  std::memcpy(message, &header, sizeof header);
  const int option = family_ == Family::V4 ? IPT_SO_SET_REPLACE : IP6T_SO_SET_REPLACE;
  if (setsockopt(fd_, levelOf(family_), option, message,
                 static_cast<socklen_t>(sizeof header + entries.bytes.size())) != 0) {
    auto error = systemError(errno, "write table " + TableId{family_, table}.str());
    if (error.sysErrno == EAGAIN) error.code = Errc::Stale;
    if (error.sysErrno == ENOENT)
      error.what += " (the kernel lacks a match or target of these rules, or a set is gone)";
    return Fail(std::move(error));
  }
  addCounters(table, replacement, before);
  return {};
}

/// The kernel begins a new table with zeros. That somebody wrote another one meanwhile makes it
/// refuse, and then the counts are lost, not the rules.
void TableSocket::addCounters(TableName table, const TableReplacement& replacement,
                              const std::vector<xt_counters>& before) const {
  const auto& origins = replacement.origins;
  std::vector<std::byte> message(sizeof(xt_counters_info) + origins.size() * sizeof(xt_counters));
  xt_counters_info header{};
  const auto name = tableText(table);
  std::copy(name.begin(), name.end(), header.name);
  header.num_counters = static_cast<unsigned>(origins.size());
  std::memcpy(message.data(), &header, sizeof header);
  auto* to = message.data() + sizeof header;
  for (const auto origin : origins) {
    if (origin < before.size()) std::memcpy(to, &before[origin], sizeof(xt_counters));
    to += sizeof(xt_counters);
  }
  const int option = family_ == Family::V4 ? IPT_SO_SET_ADD_COUNTERS : IP6T_SO_SET_ADD_COUNTERS;
  static_cast<void>(setsockopt(fd_, levelOf(family_), option, message.data(),
                               static_cast<socklen_t>(message.size())));
}

Result<void> TableSocket::probe() const {
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
  const auto socket = xtables::TableSocket::open(family);
  if (!socket) return Fail(socket.error());
  return socket->probe();
}

}  // namespace margay::dataplane
