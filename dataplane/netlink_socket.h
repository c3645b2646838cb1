#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unset_bytes.h"
#include "dataplane/netlink_batch.h"

struct nl_sock;
struct nlmsghdr;

namespace margay::dataplane {

/// A netlink socket for requests: dumps and batches. It stays in the network namespace in which its
/// thread was when it was opened. One thread at a time.
class NetlinkSocket {
 public:
  /// `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. Asks for strict checking, so that the kernel
  /// filters dumps where it can; callers must filter again, as kernels before 4.20 do not.
  static Result<NetlinkSocket> open(int protocol);
  NetlinkSocket(NetlinkSocket&&) noexcept;
  NetlinkSocket& operator=(NetlinkSocket&&) noexcept;
  ~NetlinkSocket();

  /// Sends the one message in `request`, which must be a dump, and calls `visit` for each answer.
  /// `Errc::Interrupted` if the kernel says that the table changed meanwhile; what was visited then
  /// is torn.
  Result<void> dump(NetlinkBatch& request, const std::function<void(const nlmsghdr&)>& visit);

  /// What the kernel says about message `index` of a batch. `text` is its explanation, often empty.
  struct Refusal {
    std::size_t index = 0;
    int sysErrno = 0;
    std::string_view text;
  };
  /// Sends all messages in one sendmsg and calls `refused` for those that failed, in order. At most
  /// `maxBatch()` messages. An error means that nothing is known of messages that were not refused.
  Result<void> send(NetlinkBatch& batch, const std::function<void(const Refusal&)>& refused);
  /// Sends one message; its refusal is the error, with "context: " before the text.
  Result<void> request(NetlinkBatch& message, std::string_view context);
  /// As `request`, for messages that are answered with an object: `visit` gets it.
  Result<void> get(NetlinkBatch& message, std::string_view context,
                   const std::function<void(const nlmsghdr&)>& visit);

  /// So many messages that even if all fail their answers fit the receive buffer.
  [[nodiscard]] std::size_t maxBatch() const { return maxBatch_; }
  /// The port number that the kernel's notifications of our own changes carry.
  [[nodiscard]] std::uint32_t port() const;
  [[nodiscard]] nl_sock* handle() { return socket_.get(); }

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  explicit NetlinkSocket(std::unique_ptr<nl_sock, Free> socket);
  Result<void> transmit(NetlinkBatch& batch, bool acknowledgeLast);
  Result<std::size_t> receive();

  std::unique_ptr<nl_sock, Free> socket_;
  UnsetBytes buffer_;
  std::size_t maxBatch_ = 1;
  std::uint32_t nextSequence_ = 1;
  std::uint32_t firstSequence_ = 0;  ///< of the batch that was sent last
};

}  // namespace margay::dataplane
