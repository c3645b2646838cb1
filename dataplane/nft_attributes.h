#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "dataplane/netlink_batch.h"
#include "dataplane/nfnetlink_socket.h"

/// Messages of nf_tables, taken apart and put together. Only the driver's own sources include this.
namespace margay::dataplane {

/// The attributes of a message; views into it.
class NftAttributes {
 public:
  explicit NftAttributes(const nlmsghdr& message)
      : first_(reinterpret_cast<const nlattr*>(static_cast<const char*>(NLMSG_DATA(&message)) +
                                               NLMSG_ALIGN(sizeof(nfgenmsg)))),
        length_(static_cast<int>(message.nlmsg_len) -
                static_cast<int>(NLMSG_LENGTH(NLMSG_ALIGN(sizeof(nfgenmsg))))) {}

  [[nodiscard]] const nlattr* find(int type) const { return nla_find(first_, length_, type); }
  [[nodiscard]] std::string_view text(int type) const {
    const auto* found = find(type);
    if (found == nullptr) return {};
    const auto* text = static_cast<const char*>(nla_data(found));
    return {text, strnlen(text, static_cast<std::size_t>(nla_len(found)))};
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes(int type) const {
    const auto* found = find(type);
    if (found == nullptr) return {};
    return {static_cast<const std::uint8_t*>(nla_data(found)),
            static_cast<std::size_t>(nla_len(found))};
  }
  [[nodiscard]] std::optional<std::uint32_t> number(int type) const { return numberOf(find(type)); }
  /// A number within a nested attribute.
  [[nodiscard]] std::optional<std::uint32_t> nested(int type, int inner) const {
    const auto* found = find(type);
    if (found == nullptr) return std::nullopt;
    return numberOf(nla_find(static_cast<const nlattr*>(nla_data(found)), nla_len(found), inner));
  }

 private:
  static std::optional<std::uint32_t> numberOf(const nlattr* found) {
    if (found == nullptr || nla_len(found) < 4) return std::nullopt;
    return ntohl(nla_get_u32(found));
  }
  const nlattr* first_;
  int length_;
};

/// A request of one message.
class NftRequest {
 public:
  NftRequest(NfnetlinkSocket& socket, int type, std::uint16_t flags, std::uint8_t family) {
    batch_.begin(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
    batch_.header(nfgenmsg{family, NFNETLINK_V0, 0});
    sequence_ = socket.sequences();
  }
  NftRequest& text(std::uint16_t type, std::string_view value) {
    batch_.attribute(type, value);
    return *this;
  }
  [[nodiscard]] std::span<const std::byte> view() {
    batch_.end();
    auto* head = reinterpret_cast<nlmsghdr*>(batch_.bytes().data());
    head->nlmsg_seq = sequence_;
    return std::as_bytes(std::span<const std::uint8_t>(batch_.bytes()));
  }

 private:
  NetlinkBatch batch_;
  std::uint32_t sequence_ = 0;
};

}  // namespace margay::dataplane
