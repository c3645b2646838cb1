#include "dataplane/netlink_socket.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace margay::dataplane {
namespace {

// The kernel doubles both. Batches are 60 to 100 bytes a message, answers take about 1 KiB of
// buffer each.
constexpr int kReceiveBuffer = 4 << 20;
constexpr int kSendBuffer = 1 << 20;
constexpr std::size_t kAnswerCost = 2048;
constexpr std::size_t kMinMessages = 16;
constexpr std::size_t kMaxMessages = 4096;
constexpr std::size_t kReadSize = 64 << 10;  // above 32 KiB dumps come in pieces of 32 KiB
constexpr timeval kAnswerTimeout{10,
                                 0};  // the kernel answers at once; this only keeps us from hanging

void setBuffer(int fd, int forced, int normal, int size) {
  if (::setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0) {
    ::setsockopt(fd, SOL_SOCKET, normal, &size, sizeof size);
  }
}

void enable(int fd, int option) {
  const int on = 1;
  ::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on);
}

struct Answer {
  int sysErrno = 0;
  std::string_view text;
};

// NLMSG_ERROR carries an nlmsgerr, NLMSG_DONE only the number; behind both stand the attributes of
// the extended acknowledgement.
Answer parseAnswer(const nlmsghdr& head) {
  Answer answer;
  if (head.nlmsg_len < NLMSG_LENGTH(sizeof(int))) return answer;
  int number = 0;
  std::memcpy(&number, NLMSG_DATA(&head), sizeof number);
  answer.sysErrno = -number;
  if ((head.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return answer;
  std::size_t offset = NLMSG_LENGTH(sizeof(int));
  if (head.nlmsg_type == NLMSG_ERROR) {
    offset = NLMSG_LENGTH(sizeof(nlmsgerr));
    if ((head.nlmsg_flags & NLM_F_CAPPED) == 0) {
      const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(&head));
      offset += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
    }
  }
  if (offset >= head.nlmsg_len) return answer;
  const auto* attributes =
      reinterpret_cast<const nlattr*>(reinterpret_cast<const std::uint8_t*>(&head) + offset);
  const auto* found =
      nla_find(attributes, static_cast<int>(head.nlmsg_len - offset), NLMSGERR_ATTR_MSG);
  if (found != nullptr) {
    const auto* text = static_cast<const char*>(nla_data(found));
    answer.text = {text, ::strnlen(text, static_cast<std::size_t>(nla_len(found)))};
  }
  return answer;
}

Error answerError(const Answer& answer, std::string_view context) {
  Error error = systemError(answer.sysErrno, context);
  if (!answer.text.empty()) error.what.append(" (").append(answer.text).append(")");
  return error;
}

// Calls `visit` for each message in `bytes` until it returns false.
template <class Visit>
bool eachMessage(std::span<const std::byte> bytes, Visit visit) {
  const auto* head = reinterpret_cast<const nlmsghdr*>(bytes.data());
  auto left = static_cast<unsigned>(bytes.size());
  for (; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
    if (!visit(*head)) return false;
  }
  return true;
}

}  // namespace

void NetlinkSocket::Free::operator()(nl_sock* socket) const {
  nl_socket_free(socket);
}

NetlinkSocket::NetlinkSocket(std::unique_ptr<nl_sock, Free> socket)
    : socket_(std::move(socket)), buffer_(kReadSize) {}
NetlinkSocket::NetlinkSocket(NetlinkSocket&&) noexcept = default;
NetlinkSocket& NetlinkSocket::operator=(NetlinkSocket&&) noexcept = default;
NetlinkSocket::~NetlinkSocket() = default;

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  std::unique_ptr<nl_sock, Free> handle(nl_socket_alloc());
  if (!handle) return Fail(systemError(ENOMEM, "open a netlink socket"));
  if (const int error = nl_connect(handle.get(), protocol); error != 0) {
    return fail(Errc::Unsupported, std::string("open a netlink socket: ") + nl_geterror(error));
  }
  NetlinkSocket socket(std::move(handle));
  const int fd = nl_socket_get_fd(socket.handle());
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kReceiveBuffer);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);
  enable(fd, NETLINK_CAP_ACK);
  enable(fd, NETLINK_EXT_ACK);
  enable(fd, NETLINK_GET_STRICT_CHK);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout);
  int granted = 0;
  socklen_t length = sizeof granted;
  if (::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) == 0) {
    socket.maxBatch_ =
        std::clamp(static_cast<std::size_t>(granted) / kAnswerCost, kMinMessages, kMaxMessages);
  }
  return socket;
}

std::uint32_t NetlinkSocket::port() const {
  return nl_socket_get_local_port(socket_.get());
}

Result<void> NetlinkSocket::transmit(NetlinkBatch& batch, bool acknowledgeLast) {
  const auto bytes = batch.bytes();
  MGY_CHECK(batch.messages() > 0 && batch.messages() <= maxBatch_);
  firstSequence_ = nextSequence_;
  for (std::size_t at = 0; at < bytes.size();) {
    auto* head = reinterpret_cast<nlmsghdr*>(bytes.data() + at);
    MGY_CHECK(head->nlmsg_len >= sizeof *head);
    head->nlmsg_seq = nextSequence_++;
    at += NLMSG_ALIGN(head->nlmsg_len);
    if (acknowledgeLast && at >= bytes.size()) head->nlmsg_flags |= NLM_F_ACK;
  }
  const int fd = nl_socket_get_fd(handle());
  while (::send(fd, bytes.data(), bytes.size(), 0) < 0) {
    if (errno != EINTR) return Fail(systemError(errno, "send to the kernel"));
  }
  return {};
}

Result<std::size_t> NetlinkSocket::receive() {
  const int fd = nl_socket_get_fd(handle());
  for (;;) {
    const auto got = ::recv(fd, buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got >= 0 && static_cast<std::size_t>(got) <= buffer_.size()) {
      return static_cast<std::size_t>(got);
    }
    if (got >=
        0) {  // only huge single objects get here, and the kernel will send the next as large
      buffer_ = UnsetBytes(static_cast<std::size_t>(got));
      return fail(Errc::Interrupted, "read from the kernel: message cut off");
    }
    if (errno != EINTR) return Fail(systemError(errno, "read from the kernel"));
  }
}

Result<void> NetlinkSocket::dump(NetlinkBatch& request,
                                 const std::function<void(const nlmsghdr&)>& visit) {
  if (auto sent = transmit(request, false); !sent) return sent;
  bool torn = false;
  std::optional<Answer> end;
  std::string text;
  while (!end) {
    const auto got = receive();
    if (!got) return Fail(got.error());
    eachMessage({buffer_.data(), *got}, [&](const nlmsghdr& head) {
      if (head.nlmsg_seq != firstSequence_) return true;
      torn = torn || (head.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) {
        end = parseAnswer(head);
        return false;
      }
      visit(head);
      return true;
    });
  }
  if (end->sysErrno != 0) return Fail(answerError(*end, "list from the kernel"));
  if (torn) return fail(Errc::Interrupted, "list from the kernel: the table changed meanwhile");
  return {};
}

Result<void> NetlinkSocket::send(NetlinkBatch& batch,
                                 const std::function<void(const Refusal&)>& refused) {
  if (auto sent = transmit(batch, true); !sent) return sent;
  const std::size_t count = batch.messages();
  for (bool done = false; !done;) {
    const auto got = receive();
    if (!got) return Fail(got.error());
    eachMessage({buffer_.data(), *got}, [&](const nlmsghdr& head) {
      const std::size_t index = head.nlmsg_seq - firstSequence_;
      if (head.nlmsg_type != NLMSG_ERROR || index >= count) return true;
      const auto answer = parseAnswer(head);
      if (answer.sysErrno != 0) refused({index, answer.sysErrno, answer.text});
      done = done || index + 1 == count;
      return true;
    });
  }
  return {};
}

Result<void> NetlinkSocket::request(NetlinkBatch& message, std::string_view context) {
  std::optional<Error> error;
  auto sent = send(message, [&](const Refusal& refusal) {
    error = answerError({refusal.sysErrno, refusal.text}, context);
  });
  if (!sent) return Fail(withContext(sent.error(), context));
  if (error) return Fail(*error);
  return {};
}

Result<void> NetlinkSocket::get(NetlinkBatch& message, std::string_view context,
                                const std::function<void(const nlmsghdr&)>& visit) {
  if (auto sent = transmit(message, true); !sent) return sent;
  for (;;) {
    const auto got = receive();
    if (!got) return Fail(withContext(got.error(), context));
    std::optional<Answer> end;
    std::optional<Error> error;
    eachMessage({buffer_.data(), *got}, [&](const nlmsghdr& head) {
      if (head.nlmsg_seq != firstSequence_) return true;
      if (head.nlmsg_type != NLMSG_ERROR) {
        visit(head);
        return true;
      }
      end = parseAnswer(head);
      if (end->sysErrno != 0) error = answerError(*end, context);
      return false;
    });
    if (error) return Fail(*error);
    if (end) return {};
  }
}

}  // namespace margay::dataplane
