#include "dataplane/ipset_batch.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>

#include <algorithm>
#include <limits>

namespace margay::dataplane {
namespace {

/// Bytes of one list of elements, whose length is a 16-bit field. bench/dataplane_ipset compares
/// sizes.
constexpr std::size_t kListBytes = 60UL * 1024;
constexpr std::size_t kDatagramBytes = 2 * kListBytes;
constexpr std::size_t kHeaderBytes = 128;
/// Bounds the answers that wait in the socket when every message of a datagram fails.
constexpr std::size_t kMessagesPerDatagram = 256;

using More = NfnetlinkSocket::More;

std::uint8_t commandOf(Op op) {
  return op == Op::Remove ? IPSET_CMD_DEL : IPSET_CMD_ADD;
}

}  // namespace

struct IpsetBatch::Job {
  NfnetlinkSocket& socket;
  const SetName& set;
  std::span<const Change<SetMember>> changes;
  const std::vector<bool>& skip;
  const OnError& onError;
};

IpsetBatch::IpsetBatch() : buffer_(kDatagramBytes + kHeaderBytes) {
  messages_.reserve(kMessagesPerDatagram);
}

void IpsetBatch::apply(NfnetlinkSocket& socket, const SetName& set,
                       std::span<const Change<SetMember>> changes, const std::vector<bool>& skip,
                       const OnError& onError) {
  const Job job{socket, set, changes, skip, onError};
  for (std::size_t next = 0; next < changes.size();) next = applyMany(job, next);
}

void IpsetBatch::openMessage(const Job& job, std::size_t index) {
  const Message opened{.sequence = job.socket.sequences(), .first = index};
  // Without NLM_F_EXCL the kernel takes what is there already, or gone already, as success.
  buffer_.begin(commandOf(job.changes[index].op), 0, opened.sequence);
  buffer_.putString(IPSET_ATTR_SETNAME, job.set);
  messages_.push_back(opened);
}

/// Lays out changes from `from` on until the datagram is full; returns the index of the first left
/// out.
std::size_t IpsetBatch::fill(const Job& job, std::size_t from) {
  buffer_.clear();
  messages_.clear();
  std::uint8_t command = 0;
  std::size_t index = from;
  for (; index < job.changes.size(); ++index) {
    if (job.skip[index]) continue;
    const auto& change = job.changes[index];
    const bool fits = !messages_.empty() && command == commandOf(change.op) &&
                      buffer_.elementBytes() + IpsetMessages::kMaxElementBytes <= kListBytes;
    if (!fits) {
      if (messages_.size() == kMessagesPerDatagram ||
          buffer_.room() < kHeaderBytes + IpsetMessages::kMaxElementBytes) {
        break;
      }
      if (!messages_.empty()) {
        buffer_.endElements();
        buffer_.end();
      }
      openMessage(job, index);
      buffer_.beginElements();
      command = commandOf(change.op);
    }
    if (buffer_.room() < IpsetMessages::kMaxElementBytes) break;
    buffer_.putElement(change.value, static_cast<std::uint32_t>(index + 1));
  }
  if (!messages_.empty()) {
    buffer_.endElements();
    buffer_.end(NLM_F_ACK);
  }
  return index;
}

/// One datagram of lists. Returns the index behind the last change that it dealt with.
std::size_t IpsetBatch::applyMany(const Job& job, std::size_t from) {
  const std::size_t to = fill(job, from);
  if (messages_.empty()) return to;
  constexpr auto kNone = std::numeric_limits<std::size_t>::max();
  std::size_t failedAt = kNone;  // the first change that is not known to have been done
  int number = IpsetBatch::kAnswerLost;
  bool answered = false;
  const auto note = [&](const nlmsghdr& answer) {
    const auto message = std::find_if(messages_.begin(), messages_.end(), [&](const Message& sent) {
      return sent.sequence == answer.nlmsg_seq;
    });
    if (message == messages_.end() || answer.nlmsg_type != NLMSG_ERROR) return More::Wanted;
    const std::uint32_t line = failedLine(answer);
    const std::size_t at = line != 0 ? line - 1 : message->first;
    if (errorOf(answer) != 0 && at < failedAt) {
      failedAt = at;
      number = line != 0 ? errorOf(answer) : kAnswerLost;
    }
    answered = message + 1 == messages_.end();
    return answered ? More::Done : More::Wanted;
  };
  const auto sent = job.socket.send(buffer_.view());
  if (!sent || !job.socket.drain(note) || !answered) {
    applySingly(job, from, to);
  } else if (failedAt != kNone && number == kAnswerLost) {
    applySingly(job, failedAt, to);  // an error of the whole message: let each element tell
  } else if (failedAt != kNone) {
    job.onError(failedAt, number);
    applySingly(job, failedAt + 1, to);
  }
  return to;
}

/// A message an element, so that each is told apart.
void IpsetBatch::applySingly(const Job& job, std::size_t from, std::size_t to) {
  for (std::size_t index = from; index < to;) {
    buffer_.clear();
    messages_.clear();
    for (; index < to && messages_.size() < kMessagesPerDatagram; ++index) {
      if (job.skip[index]) continue;
      if (!messages_.empty()) buffer_.end();
      openMessage(job, index);
      buffer_.putElement(job.changes[index].value, 0);
    }
    if (messages_.empty()) return;
    buffer_.end(NLM_F_ACK);
    const std::uint32_t base = messages_.front().sequence;
    bool answered = false;
    std::vector<bool> told(messages_.size());
    const auto note = [&](const nlmsghdr& answer) {
      const std::size_t which = answer.nlmsg_seq - base;
      if (which >= messages_.size() || answer.nlmsg_type != NLMSG_ERROR) return More::Wanted;
      told[which] = true;
      if (const int number = errorOf(answer); number != 0) {
        job.onError(messages_[which].first, number);
      }
      answered = which + 1 == messages_.size();
      return answered ? More::Done : More::Wanted;
    };
    const auto sent = job.socket.send(buffer_.view());
    if (sent && job.socket.drain(note) && answered) continue;
    for (std::size_t which = 0; which < messages_.size(); ++which) {
      if (!told[which])
        job.onError(messages_[which].first, sent ? kAnswerLost : sent.error().sysErrno);
    }
  }
}

}  // namespace margay::dataplane
