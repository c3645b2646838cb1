#include "dataplane/network_monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
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

#include "dataplane/netlink_interfaces.h"

namespace margay::dataplane {
namespace {

constexpr int kReceiveBuffer = 8 << 20;  // the kernel doubles it: some 20,000 notifications
constexpr unsigned kReadAtOnce = 64;
constexpr unsigned kReadAtMost =
    1 << 16;                           // a flood ends a read, not the loop; the rest stays readable
constexpr std::size_t kHeadSize = 64;  // all that is looked at: nlmsghdr and the header behind it

constexpr std::size_t kPayload = NLMSG_HDRLEN;
constexpr std::uint32_t kNobody = 0xffffffff;  // no socket has this port

template <class T>
T headerOf(const std::array<std::uint8_t, kHeadSize>& message, std::size_t size) {
  T header{};
  if (size >= kPayload + sizeof header) {
    std::memcpy(&header, message.data() + kPayload, sizeof header);
  }
  return header;
}

// The kernel puts the interface first: inet_netconf_fill_devconf, inet6_netconf_fill_devconf. 0:
// every one.
int interfaceOf(const std::array<std::uint8_t, kHeadSize>& message, std::size_t size) {
  constexpr std::size_t kAttribute = kPayload + NLMSG_ALIGN(sizeof(netconfmsg));
  rtattr head{};
  int number = 0;
  if (size < kAttribute + RTA_LENGTH(sizeof number)) return 0;
  std::memcpy(&head, message.data() + kAttribute, sizeof head);
  std::memcpy(&number, message.data() + kAttribute + RTA_LENGTH(0), sizeof number);
  const bool one = head.rta_type == NETCONFA_IFINDEX && number > 0;
  return one ? number : 0;
}

// The socket filter says the same in the kernel; this decides alone where the filter could not be
// set.
void classify(const std::array<std::uint8_t, kHeadSize>& message, std::size_t size,
              std::uint32_t routePort, InterfaceNames& names, NetworkEvents& events) {
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
      if (head.nlmsg_pid == routePort) return;
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
    case RTM_NEWNETCONF: {
      const int number = interfaceOf(message, size);
      const auto& name = names.nameOf(number);
      if (number == 0) events.allSettings = true;
      if (!name.empty()) events.settings.insert(name);
      return;
    }
    default:
      return;
  }
}

// Classic BPF loads network byte order, netlink is native: constants are swapped instead.
constexpr std::uint32_t asLoaded(std::uint16_t value) {
  return static_cast<std::uint32_t>(((value & 0xff) << 8) | (value >> 8));
}

bool setFilter(int fd, std::uint32_t routePort) {
  constexpr auto kType = static_cast<std::uint32_t>(offsetof(nlmsghdr, nlmsg_type));
  constexpr auto kFlags = static_cast<std::uint32_t>(offsetof(nlmsghdr, nlmsg_flags));
  constexpr auto kPort = static_cast<std::uint32_t>(offsetof(nlmsghdr, nlmsg_pid));
  constexpr auto kProtocol = static_cast<std::uint32_t>(kPayload + offsetof(rtmsg, rtm_protocol));
  constexpr auto kState = static_cast<std::uint32_t>(kPayload + offsetof(ndmsg, ndm_state));
  constexpr std::uint16_t kLoadWord = BPF_LD | BPF_W | BPF_ABS;
  constexpr std::uint16_t kLoadHalf = BPF_LD | BPF_H | BPF_ABS;
  constexpr std::uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
  constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr std::uint16_t kIfSet = BPF_JMP | BPF_JSET | BPF_K;
  constexpr std::uint16_t kReturn = BPF_RET | BPF_K;
  std::array<sock_filter, 16> program{{
      {kLoadHalf, 0, 0, kType},
      {kIfEqual, 2, 0, asLoaded(RTM_NEWROUTE)},   // -> 4
      {kIfEqual, 5, 0, asLoaded(RTM_DELROUTE)},   // -> 8
      {kIfEqual, 8, 10, asLoaded(RTM_NEWNEIGH)},  // -> 12, else accept
      {kLoadWord, 0, 0, kPort},                   // 4: a new route
      {kIfEqual, 9, 0, htonl(routePort)},         // -> drop
      {kLoadHalf, 0, 0, kFlags},
      {kIfSet, 6, 2, asLoaded(NLM_F_REPLACE)},  // -> accept, else 10
      {kLoadWord, 0, 0, kPort},                 // 8: a route that is gone
      {kIfEqual, 5, 0, htonl(routePort)},       // -> drop
      {kLoadByte, 0, 0, kProtocol},             // 10: either
      {kIfEqual, 2, 3, kRouteProtocol},         // -> accept, else drop
      {kLoadHalf, 0, 0, kState},                // 12: a new neighbour
      {kIfSet, 0, 1, asLoaded(NUD_PERMANENT)},  // -> accept, else drop
      {kReturn, 0, 0, 0xffffffff},              // 14: accept
      {kReturn, 0, 0, 0},                       // 15: drop
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
  KernelNetworkMonitor(Handle socket, InterfaceNames names, std::uint32_t routePort)
      : socket_(std::move(socket)), names_(std::move(names)), routePort_(routePort) {
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
    names_.forget();
    for (unsigned total = 0; total < kReadAtMost;) {
      const int got = ::recvmmsg(fd(), messages_.data(), kReadAtOnce, MSG_DONTWAIT, nullptr);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == ENOBUFS) {
        events.overflow = true;
        continue;
      }
      if (got <= 0) break;
      for (unsigned i = 0; i < static_cast<unsigned>(got); ++i) {
        classify(heads_[i], messages_[i].msg_len, routePort_, names_, events);
      }
      total += static_cast<unsigned>(got);
    }
    return events;
  }

 private:
  Handle socket_;
  InterfaceNames names_;
  std::uint32_t routePort_;
  std::array<std::array<std::uint8_t, kHeadSize>, kReadAtOnce> heads_{};
  std::array<iovec, kReadAtOnce> slices_{};
  std::array<mmsghdr, kReadAtOnce> messages_{};
};

}  // namespace

Result<std::unique_ptr<NetworkMonitor>> makeNetworkMonitor(std::uint32_t routePort) {
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
  auto names = InterfaceNames::open();
  if (!names) return Fail(withContext(names.error(), kContext));
  if (routePort == 0) routePort = kNobody;
  setFilter(fd, routePort);  // only saves work: `classify` holds without it
  const int error = nl_socket_add_memberships(
      socket.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
      RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, 0);
  if (error != 0) return fail(Errc::Unsupported, std::string(kContext) + ": " + nl_geterror(error));
  return std::make_unique<KernelNetworkMonitor>(std::move(socket), std::move(*names), routePort);
}

}  // namespace margay::dataplane
