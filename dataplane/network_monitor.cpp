#include "dataplane/network_monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace margay::dataplane {
namespace {

constexpr int kReceiveBuffer = 8 << 20;  // the kernel doubles it: some 20,000 notifications
constexpr unsigned kReadAtOnce = 64;
constexpr unsigned kReadAtMost =
    1 << 16;                           // a flood ends a read, not the loop; the rest stays readable
constexpr std::size_t kHeadSize = 64;  // all that is looked at: nlmsghdr and the header behind it

constexpr std::size_t kPayload = NLMSG_HDRLEN;

template <class T>
T headerOf(const std::array<std::uint8_t, kHeadSize>& message, std::size_t size) {
  T header{};
  if (size >= kPayload + sizeof header) {
    std::memcpy(&header, message.data() + kPayload, sizeof header);
  }
  return header;
}

// The socket filter says the same in the kernel; this decides alone where the filter could not be
// set.
void classify(const std::array<std::uint8_t, kHeadSize>& message, std::size_t size,
              NetworkEvents& events) {
  nlmsghdr head{};
  if (size < sizeof head) return;
  std::memcpy(&head, message.data(), sizeof head);
  switch (head.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      events.links = true;
      const bool up = (headerOf<ifinfomsg>(message, size).ifi_flags & IFF_UP) != 0;
      if (head.nlmsg_type == RTM_DELLINK || !up) {
        events.routes = true;
        events.neighbours = true;
      }
      return;
    }
    case RTM_DELADDR:
      events.routes = true;
      events.addresses = true;
      return;
    case RTM_NEWADDR:
      events.addresses = true;
      return;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const bool replaces =
          head.nlmsg_type == RTM_NEWROUTE && (head.nlmsg_flags & NLM_F_REPLACE) != 0;
      if (replaces || headerOf<rtmsg>(message, size).rtm_protocol == kRouteProtocol) {
        events.routes = true;
      }
      return;
    }
    case RTM_NEWNEIGH:
      if ((headerOf<ndmsg>(message, size).ndm_state & NUD_PERMANENT) != 0) events.neighbours = true;
      return;
    case RTM_DELNEIGH:
      events.neighbours = true;
      return;
    case RTM_NEWNETCONF:
      events.sysctls = true;
      return;
    default:
      return;
  }
}

// Classic BPF loads network byte order, netlink is native: constants are swapped instead.
constexpr std::uint32_t asLoaded(std::uint16_t value) {
  return static_cast<std::uint32_t>(((value & 0xff) << 8) | (value >> 8));
}

bool setFilter(int fd) {
  constexpr auto kType = static_cast<std::uint32_t>(offsetof(nlmsghdr, nlmsg_type));
  constexpr auto kFlags = static_cast<std::uint32_t>(offsetof(nlmsghdr, nlmsg_flags));
  constexpr auto kProtocol = static_cast<std::uint32_t>(kPayload + offsetof(rtmsg, rtm_protocol));
  constexpr auto kState = static_cast<std::uint32_t>(kPayload + offsetof(ndmsg, ndm_state));
  constexpr std::uint16_t kLoadHalf = BPF_LD | BPF_H | BPF_ABS;
  constexpr std::uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
  constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr std::uint16_t kIfSet = BPF_JMP | BPF_JSET | BPF_K;
  constexpr std::uint16_t kReturn = BPF_RET | BPF_K;
  std::array<sock_filter, 12> program{{
      {kLoadHalf, 0, 0, kType},
      {kIfEqual, 2, 0, asLoaded(RTM_NEWROUTE)},  // -> 4
      {kIfEqual, 3, 0, asLoaded(RTM_DELROUTE)},  // -> 6
      {kIfEqual, 4, 6, asLoaded(RTM_NEWNEIGH)},  // -> 8, else accept
      {kLoadHalf, 0, 0, kFlags},                 // 4: a new route
      {kIfSet, 4, 0, asLoaded(NLM_F_REPLACE)},   // -> accept
      {kLoadByte, 0, 0, kProtocol},              // 6: any route
      {kIfEqual, 2, 3, kRouteProtocol},          // -> accept, else drop
      {kLoadHalf, 0, 0, kState},                 // 8: a new neighbour
      {kIfSet, 0, 1, asLoaded(NUD_PERMANENT)},   // -> accept, else drop
      {kReturn, 0, 0, 0xffffffff},               // 10: accept
      {kReturn, 0, 0, 0},                        // 11: drop
  }};
  const sock_fprog filter{program.size(), program.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

struct FreeSocket {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
using Handle = std::unique_ptr<nl_sock, FreeSocket>;

class KernelNetworkMonitor final : public NetworkMonitor {
 public:
  explicit KernelNetworkMonitor(Handle socket) : socket_(std::move(socket)) {
    for (unsigned i = 0; i < kReadAtOnce; ++i) {
      slices_[i] = {heads_[i].data(), heads_[i].size()};
      messages_[i].msg_hdr.msg_iov = &slices_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  KernelNetworkMonitor(const KernelNetworkMonitor&) = delete;
  KernelNetworkMonitor& operator=(const KernelNetworkMonitor&) = delete;

  [[nodiscard]] int fd() const override { return nl_socket_get_fd(socket_.get()); }

  NetworkEvents read() override {
    NetworkEvents events;
    for (unsigned total = 0; total < kReadAtMost;) {
      const int got = ::recvmmsg(fd(), messages_.data(), kReadAtOnce, MSG_DONTWAIT, nullptr);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == ENOBUFS) {
        events.overflow = true;
        continue;
      }
      if (got <= 0) break;
      for (unsigned i = 0; i < static_cast<unsigned>(got); ++i) {
        classify(heads_[i], messages_[i].msg_len, events);
      }
      total += static_cast<unsigned>(got);
    }
    return events;
  }

 private:
  Handle socket_;
  std::array<std::array<std::uint8_t, kHeadSize>, kReadAtOnce> heads_{};
  std::array<iovec, kReadAtOnce> slices_{};
  std::array<mmsghdr, kReadAtOnce> messages_{};
};

}  // namespace

Result<std::unique_ptr<NetworkMonitor>> makeNetworkMonitor() {
  constexpr std::string_view kContext = "watch the kernel's network";
  Handle socket(nl_socket_alloc());
  if (!socket) return Fail(systemError(ENOMEM, kContext));
  if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error != 0) {
    return fail(Errc::Unsupported, std::string(kContext) + ": " + nl_geterror(error));
  }
  const int fd = nl_socket_get_fd(socket.get());
  const int size = kReceiveBuffer;
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  setFilter(fd);  // only saves work: `classify` holds without it
  const int error = nl_socket_add_memberships(
      socket.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
      RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, 0);
  if (error != 0) return fail(Errc::Unsupported, std::string(kContext) + ": " + nl_geterror(error));
  return std::make_unique<KernelNetworkMonitor>(std::move(socket));
}

}  // namespace margay::dataplane
