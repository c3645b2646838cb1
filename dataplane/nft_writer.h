#pragma once

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/model/rule.h"
#include "dataplane/netlink_batch.h"

/// Expressions of nf_tables rules. Only the driver's own sources include this.
namespace margay::dataplane {

/// Writes expressions one behind the other.
class NftWriter {
 public:
  using Bytes = std::vector<std::uint8_t>;
  struct Where {
    std::uint32_t offset;
    std::uint32_t length;
  };
  /// The register that comparisons read.
  static constexpr std::uint32_t kFirst = NFT_REG_1;

  /// A list element: name and the attributes that `fill` writes.
  template <class Fill>
  void expression(std::string_view name, Fill fill) {
    const auto element = out_.beginNested(NFTA_LIST_ELEM);
    out_.attribute(NFTA_EXPR_NAME, name);
    const auto data = out_.beginNested(NFTA_EXPR_DATA);
    fill();
    out_.endNested(data);
    out_.endNested(element);
  }
  void be32(std::uint16_t type, std::uint32_t value) { out_.attribute(type, htonl(value)); }
  void be64(std::uint16_t type, std::uint64_t value) {
    out_.attribute(type, (std::uint64_t{htonl(static_cast<std::uint32_t>(value))} << 32) |
                             htonl(static_cast<std::uint32_t>(value >> 32)));
  }
  void data(std::uint16_t type, const Bytes& value) {
    const auto nest = out_.beginNested(type);
    out_.attribute(NFTA_DATA_VALUE, std::span<const std::uint8_t>(value));
    out_.endNested(nest);
  }
  void text(std::uint16_t type, std::string_view value) { out_.attribute(type, value); }
  std::size_t size() { return out_.bytes().size(); }
  NetlinkBatch& batch() { return out_; }

  void meta(std::uint32_t key, std::uint32_t reg) {
    expression("meta", [&] {
      be32(NFTA_META_KEY, key);
      be32(NFTA_META_DREG, reg);
    });
  }
  void payload(std::uint32_t base, Where where, std::uint32_t reg) {
    expression("payload", [&] {
      be32(NFTA_PAYLOAD_DREG, reg);
      be32(NFTA_PAYLOAD_BASE, base);
      be32(NFTA_PAYLOAD_OFFSET, where.offset);
      be32(NFTA_PAYLOAD_LEN, where.length);
    });
  }
  void bitwise(const Bytes& mask, const Bytes& flip, std::uint32_t reg = kFirst) {
    expression("bitwise", [&] {
      be32(NFTA_BITWISE_SREG, reg);
      be32(NFTA_BITWISE_DREG, reg);
      be32(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(mask.size()));
      data(NFTA_BITWISE_MASK, mask);
      data(NFTA_BITWISE_XOR, flip);
    });
  }
  void compare(Sense sense, const Bytes& value) {
    expression("cmp", [&] {
      be32(NFTA_CMP_SREG, kFirst);
      be32(NFTA_CMP_OP, sense == Sense::Is ? NFT_CMP_EQ : NFT_CMP_NEQ);
      data(NFTA_CMP_DATA, value);
    });
  }
  void load(std::uint32_t reg, const Bytes& value) {
    expression("immediate", [&] {
      be32(NFTA_IMMEDIATE_DREG, reg);
      data(NFTA_IMMEDIATE_DATA, value);
    });
  }
  void verdict(std::uint32_t code, std::string_view chain = {}) {
    expression("immediate", [&] {
      be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      const auto nest = out_.beginNested(NFTA_IMMEDIATE_DATA);
      const auto inner = out_.beginNested(NFTA_DATA_VERDICT);
      be32(NFTA_VERDICT_CODE, code);
      if (!chain.empty()) text(NFTA_VERDICT_CHAIN, chain);
      out_.endNested(inner);
      out_.endNested(nest);
    });
  }
  /// A prefix compares its own bytes, a name all sixteen.
  void interface(const InterfaceMatch& match) {
    meta(match.side == Side::In ? NFT_META_IIFNAME : NFT_META_OIFNAME, kFirst);
    Bytes name(match.name.begin(), match.name.end());
    if (match.how == NameMatch::Exact) name.resize(IFNAMSIZ);
    compare(match.sense, name);
  }
  void counter() {
    expression("counter", [&] {
      be64(NFTA_COUNTER_BYTES, 0);
      be64(NFTA_COUNTER_PACKETS, 0);
    });
  }

 private:
  NetlinkBatch out_;
};

}  // namespace margay::dataplane
