#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unset_bytes.h"

struct nl_sock;
struct nlmsghdr;

namespace margay::dataplane {

/// A NETLINK_NETFILTER socket in the network namespace of the thread that opened it. Requests are
/// whole netlink messages laid out by the caller; the socket gives out the sequence numbers. The
/// kernel answers a request before the send returns, so nothing here waits for anything but the
/// kernel's own work, and an answer that is not there when the send is done was lost.
/// Error::sysErrno is the kernel's number without its sign, also where it is none of the system's
/// (ipset has its own from 4096 on). One thread.
class NfnetlinkSocket {
 public:
  /// `Errc::Unsupported` if the kernel has no nfnetlink.
  static Result<NfnetlinkSocket> open();

  /// Reserves `count` sequence numbers; returns the first. Never 0.
  std::uint32_t sequences(std::uint32_t count = 1);

  /// Sends one or more messages in one datagram.
  Result<void> send(std::span<const std::byte> messages);

  /// The port number that the kernel's notifications of our own changes carry.
  [[nodiscard]] std::uint32_t port() const;
  /// Makes room for a datagram of so many bytes.
  Result<void> reserve(std::size_t bytes);

  using Visitor = std::function<void(const nlmsghdr&)>;
  enum class More { Wanted, Done };
  /// Hands every queued message to `visit`, errors and acknowledgements too, until it says that it
  /// has what it waits for, or there is none. `Errc::Interrupted` if the socket's buffer overflowed
  /// and messages are gone.
  Result<void> drain(const std::function<More(const nlmsghdr&)>& visit);

  /// Sends one message and gives its data messages to `visit`. `message` must have NLM_F_ACK set.
  Result<void> request(std::span<const std::byte> message, const Visitor& visit = {});
  /// Sends one dump request (NLM_F_DUMP set, NLM_F_ACK not) and gives all its messages to `visit`.
  /// `Errc::Interrupted` if the kernel says that the dump is torn, or if part of it was lost.
  Result<void> dump(std::span<const std::byte> message, const Visitor& visit);

 private:
  struct Closer {
    void operator()(nl_sock* socket) const;
  };
  explicit NfnetlinkSocket(nl_sock* socket);
  /// Bytes of the next datagram in `buffer_`; 0 if none is queued.
  Result<std::size_t> receive(int flags);

  std::unique_ptr<nl_sock, Closer> socket_;
  UnsetBytes buffer_;
  std::uint32_t nextSequence_ = 1;
  std::size_t sendBytes_ = 0;  // what reserve made room for
};

/// What an NLMSG_ERROR message says: 0 for an acknowledgement, else the kernel's error number
/// without its sign. -1 for any other message.
[[nodiscard]] int errorOf(const nlmsghdr& message);

}  // namespace margay::dataplane
