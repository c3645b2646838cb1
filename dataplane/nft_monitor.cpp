#include "dataplane/nft_monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "dataplane/nft_attributes.h"
#include "dataplane/nft_batch.h"

namespace margay::dataplane {
namespace {

constexpr int kReceiveBuffer = 8 << 20;
constexpr std::size_t kReadBytes = 64UL * 1024;

/// Notifications of our own changes never reach the socket: a bulk load would only fill it.
void dropOwn(int fd, std::uint32_t ownPort) {
  // Classic BPF loads network byte order, netlink is native: the constant is swapped instead.
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(ownPort), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  }};
  const sock_fprog filter{program.size(), program.data()};
  // Without it `classify` sorts them out.
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

void classify(const nlmsghdr& message, NftEvents& events) {
  if (message.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return;
  const auto* general = static_cast<const nfgenmsg*>(NLMSG_DATA(&message));
  if (general->nfgen_family != NFPROTO_IPV4 && general->nfgen_family != NFPROTO_IPV6) return;
  const NftAttributes attributes(message);
  if (attributes.text(NFTA_TABLE_NAME) != kNftTable) return;
  const auto family = general->nfgen_family == NFPROTO_IPV4 ? Family::V4 : Family::V6;
  switch (message.nlmsg_type & 0xff) {
    case NFT_MSG_DELTABLE:
      events.overflow = true;
      break;
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
      events.rules.insert(family);
      break;
    case NFT_MSG_NEWSET:
    case NFT_MSG_DELSET:
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
      // 2 is the set's name in all four.
      events.sets.emplace(attributes.text(NFTA_SET_NAME));
      break;
    default:
      break;
  }
}

}  // namespace

Result<NftMonitor> NftMonitor::open(std::uint32_t ownPort) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  if (fd < 0) return Fail(systemError(errno, "open nf_tables notifications"));
  NftMonitor out(fd, ownPort);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  dropOwn(fd, ownPort);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Fail(systemError(errno, "bind nf_tables notifications"));
  const int group = NFNLGRP_NFTABLES;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    return Fail(systemError(errno, "join nf_tables notifications"));
  return out;
}

NftMonitor::NftMonitor(NftMonitor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ownPort_(other.ownPort_) {}

NftMonitor::~NftMonitor() {
  if (fd_ >= 0) close(fd_);
}

NftEvents NftMonitor::read() {
  NftEvents events;
  alignas(nlmsghdr) static thread_local std::array<char, kReadBytes> buffer;
  for (;;) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      events.overflow = true;
      continue;
    }
    if (got <= 0) return events;
    int left = static_cast<int>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(message, left);
         message = nlmsg_next(message, &left)) {
      if (message->nlmsg_pid != ownPort_) classify(*message, events);
    }
  }
}

}  // namespace margay::dataplane
