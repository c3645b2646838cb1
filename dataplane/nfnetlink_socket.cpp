#include "dataplane/nfnetlink_socket.h"

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace margay::dataplane {
namespace {

/// An error answer repeats its request, and an attribute of a request has at most 64 KiB.
constexpr std::size_t kReceiveBytes = 192UL * 1024;
/// Room for the answers to a datagram in which every message fails.
constexpr int kSocketBytes = 2 * 1024 * 1024;

Error kernelError(int number) {
  if (number < 4096) return systemError(number, "nfnetlink");
  return Error{Errc::Invalid, number, "nfnetlink: error " + std::to_string(number)};
}

void growBuffers(int fd) {
  // The privileged form goes beyond the system's limit; without the right to it the plain one does
  // what it can.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBytes, sizeof kSocketBytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kSocketBytes, sizeof kSocketBytes);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBytes, sizeof kSocketBytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof kSocketBytes);
  }
  const int on = 1;
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
}

}  // namespace

void NfnetlinkSocket::Closer::operator()(nl_sock* socket) const {
  nl_socket_free(socket);
}

NfnetlinkSocket::NfnetlinkSocket(nl_sock* socket) : socket_(socket), buffer_(kReceiveBytes) {}

Result<NfnetlinkSocket> NfnetlinkSocket::open() {
  NfnetlinkSocket made(nl_socket_alloc());
  if (!made.socket_) return fail(Errc::Transient, "open nfnetlink socket: out of memory", ENOMEM);
  errno = 0;
  if (const int rc = nl_connect(made.socket_.get(), NETLINK_NETFILTER); rc < 0) {
    if (errno != 0) return Fail(systemError(errno, "open nfnetlink socket"));
    return fail(Errc::Transient, std::string("open nfnetlink socket: ") + nl_geterror(rc));
  }
  growBuffers(nl_socket_get_fd(made.socket_.get()));
  return made;
}

std::uint32_t NfnetlinkSocket::sequences(std::uint32_t count) {
  if (nextSequence_ + count < nextSequence_) nextSequence_ = 1;
  const std::uint32_t first = nextSequence_;
  nextSequence_ += count;
  return first;
}

std::uint32_t NfnetlinkSocket::port() const {
  return nl_socket_get_local_port(socket_.get());
}

Result<void> NfnetlinkSocket::reserve(std::size_t bytes) {
  // The kernel counts what a datagram costs it beside its bytes, too.
  const std::size_t wanted = bytes + bytes / 4 + 4096;
  if (wanted <= static_cast<std::size_t>(kSocketBytes) || wanted <= sendBytes_) return {};
  const int value = static_cast<int>(wanted);
  if (setsockopt(nl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_SNDBUFFORCE, &value,
                 sizeof value) != 0)
    return Fail(systemError(errno, "make room for " + std::to_string(bytes) + " bytes"));
  sendBytes_ = wanted;
  return {};
}

Result<void> NfnetlinkSocket::send(std::span<const std::byte> messages) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = sendto(nl_socket_get_fd(socket_.get()), messages.data(), messages.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Fail(systemError(errno, "send to nfnetlink"));
  return {};
}

Result<std::size_t> NfnetlinkSocket::receive(int flags) {
  for (;;) {
    const ssize_t got =
        recv(nl_socket_get_fd(socket_.get()), buffer_.data(), buffer_.size(), flags | MSG_TRUNC);
    if (got >= 0 && static_cast<std::size_t>(got) > buffer_.size()) {
      return fail(Errc::Interrupted,
                  "receive from nfnetlink: an answer of " + std::to_string(got) + " bytes was cut",
                  EMSGSIZE);
    }
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return std::size_t{0};
    Error error = systemError(errno, "receive from nfnetlink");
    if (error.sysErrno == ENOBUFS) error.code = Errc::Interrupted;
    return Fail(std::move(error));
  }
}

Result<void> NfnetlinkSocket::drain(const std::function<More(const nlmsghdr&)>& visit) {
  Result<void> outcome;
  for (;;) {
    const auto got = receive(MSG_DONTWAIT);
    if (!got) {
      // The overflow is told once, before what is still queued.
      if (got.error().code != Errc::Interrupted) return Fail(got.error());
      outcome = Fail(got.error());
      continue;
    }
    if (*got == 0) return outcome;
    int left = static_cast<int>(*got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data()); nlmsg_ok(message, left);
         message = nlmsg_next(message, &left)) {
      if (visit(*message) == More::Done) return outcome;
    }
  }
}

Result<void> NfnetlinkSocket::request(std::span<const std::byte> message, const Visitor& visit) {
  const auto sequence = reinterpret_cast<const nlmsghdr*>(message.data())->nlmsg_seq;
  if (auto sent = send(message); !sent) return sent;
  int error = -1;
  const auto drained = drain([&](const nlmsghdr& answer) {
    if (answer.nlmsg_seq != sequence) return More::Wanted;
    if (answer.nlmsg_type == NLMSG_ERROR) {
      error = errorOf(answer);
      return More::Done;
    }
    if (visit) visit(answer);
    return More::Wanted;
  });
  if (!drained) return Fail(drained.error());
  if (error < 0) return fail(Errc::Transient, "nfnetlink: the answer was lost", ENOBUFS);
  if (error > 0) return Fail(kernelError(error));
  return {};
}

Result<void> NfnetlinkSocket::dump(std::span<const std::byte> message, const Visitor& visit) {
  const auto sequence = reinterpret_cast<const nlmsghdr*>(message.data())->nlmsg_seq;
  if (auto sent = send(message); !sent) return sent;
  bool done = false;
  bool torn = false;
  int error = 0;
  // Each receive makes the kernel queue the next part before it returns.
  const auto drained = drain([&](const nlmsghdr& part) {
    if (part.nlmsg_seq != sequence) return More::Wanted;
    if ((part.nlmsg_flags & NLM_F_DUMP_INTR) != 0) torn = true;
    if (part.nlmsg_type == NLMSG_ERROR) {
      error = errorOf(part);
      done = true;
    } else if (part.nlmsg_type == NLMSG_DONE) {
      int status = 0;
      if (part.nlmsg_len >= NLMSG_LENGTH(sizeof status))
        std::memcpy(&status, NLMSG_DATA(&part), sizeof status);
      error = -status;
      done = true;
    } else {
      visit(part);
    }
    return done ? More::Done : More::Wanted;
  });
  if (!drained) return Fail(drained.error());
  if (error > 0) return Fail(kernelError(error));
  if (torn || !done) return fail(Errc::Interrupted, "nfnetlink: the dump was torn", EINTR);
  return {};
}

int errorOf(const nlmsghdr& message) {
  if (message.nlmsg_type != NLMSG_ERROR || message.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr)))
    return -1;
  nlmsgerr error{};
  std::memcpy(&error, NLMSG_DATA(&message), sizeof error);
  return -error.error;
}

}  // namespace margay::dataplane
