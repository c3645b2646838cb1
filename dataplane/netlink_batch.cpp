#include "dataplane/netlink_batch.h"

#include <linux/netlink.h>

#include <algorithm>

namespace margay::dataplane {

void NetlinkBatch::begin(std::uint16_t type, std::uint16_t flags) {
  start_ = size_;
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  header(head);
  ++messages_;
}

void NetlinkBatch::end() {
  const auto length = static_cast<std::uint32_t>(size_ - start_);
  std::memcpy(buffer_.data() + start_, &length, sizeof length);  // nlmsg_len is the first member
}

void NetlinkBatch::message(std::span<const std::uint8_t> encoded) {
  start_ = size_;
  append(encoded);
  auto* head = reinterpret_cast<nlmsghdr*>(buffer_.data() + start_);
  head->nlmsg_flags |= NLM_F_REQUEST;
  ++messages_;
}

void NetlinkBatch::attribute(std::uint16_t type, std::span<const std::uint8_t> payload) {
  nlattr head{};
  head.nla_len = static_cast<std::uint16_t>(sizeof head + payload.size());
  head.nla_type = type;
  std::uint8_t* to = extend(sizeof head + align(payload.size()));
  std::memcpy(to, &head, sizeof head);
  if (!payload.empty()) std::memcpy(to + sizeof head, payload.data(), payload.size());
}

void NetlinkBatch::attribute(std::uint16_t type, std::string_view text) {
  nlattr head{};
  head.nla_len = static_cast<std::uint16_t>(sizeof head + text.size() + 1);
  head.nla_type = type;
  std::uint8_t* to = extend(sizeof head + align(text.size() + 1));
  std::memcpy(to, &head, sizeof head);
  if (!text.empty()) std::memcpy(to + sizeof head, text.data(), text.size());
}

void NetlinkBatch::append(std::span<const std::uint8_t> attributes) {
  if (attributes.empty()) return;
  std::memcpy(extend(align(attributes.size())), attributes.data(), attributes.size());
}

std::size_t NetlinkBatch::beginNested(std::uint16_t type) {
  const std::size_t start = size_;
  attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), std::span<const std::uint8_t>{});
  return start;
}

void NetlinkBatch::endNested(std::size_t start) {
  const auto length = static_cast<std::uint16_t>(size_ - start);
  std::memcpy(buffer_.data() + start, &length, sizeof length);  // nla_len is the first member
}

void NetlinkBatch::clear() {
  size_ = 0;
  start_ = 0;
  messages_ = 0;
}

std::uint8_t* NetlinkBatch::extend(std::size_t length) {
  const std::size_t at = size_;
  size_ += length;
  if (size_ > buffer_.size()) {
    buffer_.resize(std::max(size_, 2 * buffer_.size() + 256));
  }
  std::memset(buffer_.data() + at, 0, length);
  return buffer_.data() + at;
}

}  // namespace margay::dataplane
