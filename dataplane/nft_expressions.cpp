#include "dataplane/nft_expressions.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "dataplane/nft_writer.h"

namespace margay::dataplane {
namespace {

using Bytes = NftWriter::Bytes;

constexpr std::uint8_t kPortUnreachableV4 = 3;
constexpr std::uint8_t kPortUnreachableV6 = 4;
/// Registers of 16 bytes, and the first 4 bytes of the one behind NFT_REG_1.
constexpr std::uint32_t kFirst = NftWriter::kFirst;
constexpr std::uint32_t kSecond = NFT_REG_2;
constexpr std::uint32_t kThird = NFT_REG_3;
constexpr std::uint32_t kIpPortFirst[] = {NFT_REG32_01, NFT_REG32_04};  // behind an IPv4, IPv6

/// Of addresses in the network header.
NftWriter::Where addressAt(Family family, End end) {
  if (family == Family::V4) return {end == End::Source ? 12U : 16U, 4};
  return {end == End::Source ? 8U : 24U, 16};
}

Bytes native(std::uint32_t value) {
  Bytes out(sizeof value);
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}
Bytes netPort(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port & 0xff)};
}

/// Sorted and disjoint: nf_tables takes no intervals that overlap.
std::vector<PortRange> merged(std::vector<PortRange> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<PortRange> out;
  for (const auto& range : ports) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

bool isRange(const PortRange& ports) {
  return ports.first != ports.last;
}

class Encoder {
 public:
  explicit Encoder(Family family) : family_(family) {}

  Result<NftExpressions> encode(const Rule& rule) {
    for (const auto& match : rule.matches) std::visit(*this, match);
    std::visit(*this, rule.action);
    if (!problem_.empty()) return fail(Errc::Invalid, problem_);
    const auto bytes = out_.batch().bytes();
    done_.bytes.assign(bytes.begin(), bytes.end());
    return std::move(done_);
  }

  // Matches.
  void operator()(const InterfaceMatch& match) {
    if (match.name.size() >= IFNAMSIZ) problem("interface " + match.name + ": 15 bytes at most");
    out_.interface(match);
  }
  void operator()(const NetMatch& match) {
    if (match.net.family() != family_) problem("net " + match.net.str() + ": the other IP family");
    const Prefix masked = match.net.masked();
    const auto bytes = masked.address.bytes();
    if (match.net.length == 0 && match.sense == Sense::Is) return;
    out_.payload(NFT_PAYLOAD_NETWORK_HEADER, addressAt(family_, match.end), kFirst);
    if (!match.net.isHost()) {
      Bytes mask(bytes.size());
      for (std::size_t bit = 0; bit < match.net.length; ++bit)
        mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | (0x80 >> bit % 8));
      out_.bitwise(mask, Bytes(bytes.size()));
    }
    out_.compare(match.sense, {bytes.begin(), bytes.end()});
  }
  void operator()(const ProtocolMatch& match) {
    out_.meta(NFT_META_L4PROTO, kFirst);
    out_.compare(match.sense, {match.number});
  }
  void operator()(const PortsMatch& match) {
    std::vector<PortRange> ports = merged(match.ports);
    if (ports.empty()) return problem("a match of no ports");
    out_.payload(NFT_PAYLOAD_TRANSPORT_HEADER, {match.end == End::Source ? 0U : 2U, 2}, kFirst);
    if (ports.size() == 1 && ports[0].first == ports[0].last)
      return out_.compare(match.sense, netPort(ports[0].first));
    const bool single = std::none_of(ports.begin(), ports.end(), isRange);
    if (ports.size() == 1) {
      out_.expression("range", [&] {
        out_.be32(NFTA_RANGE_SREG, kFirst);
        out_.be32(NFTA_RANGE_OP, match.sense == Sense::Is ? NFT_RANGE_EQ : NFT_RANGE_NEQ);
        out_.data(NFTA_RANGE_FROM_DATA, netPort(ports[0].first));
        out_.data(NFTA_RANGE_TO_DATA, netPort(ports[0].last));
      });
      return;
    }
    using Kind = NftAnonymousSet::Kind;
    anonymous({single ? Kind::Ports : Kind::PortRanges, std::move(ports), {}}, match.sense);
  }
  void operator()(const IcmpMatch& match) {
    Bytes value{match.type};
    if (match.code) value.push_back(*match.code);
    out_.payload(NFT_PAYLOAD_TRANSPORT_HEADER, {0, static_cast<std::uint32_t>(value.size())},
                 kFirst);
    out_.compare(match.sense, value);
  }
  void operator()(const SetMatch& match) {
    if (match.dimensions.empty()) return problem("set " + match.set + ": no dimension");
    const End end = match.dimensions.front();
    switch (match.type) {
      case SetType::HashNet:
      case SetType::HashAddress:
        out_.payload(NFT_PAYLOAD_NETWORK_HEADER, addressAt(family_, end), kFirst);
        break;
      case SetType::HashIpPort: {
        const std::uint32_t next = kIpPortFirst[family_ == Family::V4 ? 0 : 1];
        out_.payload(NFT_PAYLOAD_NETWORK_HEADER, addressAt(family_, end), kFirst);
        out_.meta(NFT_META_L4PROTO, next);
        const End portEnd = match.dimensions.back();
        out_.payload(NFT_PAYLOAD_TRANSPORT_HEADER, {portEnd == End::Source ? 0U : 2U, 2}, next + 1);
        break;
      }
      case SetType::HashNetIface:
      case SetType::NumberMap:
        loadInterfaceAndAddress(end);
        break;
    }
    lookUp(match.set, match.sense, kNoRegister);
  }
  void operator()(const MarkMatch& match) {
    out_.meta(NFT_META_MARK, kFirst);
    if (match.mask != 0xffffffff) out_.bitwise(native(match.mask), native(0));
    out_.compare(match.sense, native(match.value));
  }
  void operator()(const ConntrackMatch& match) {
    const auto bit = [](int state) { return 1U << (state % IP_CT_IS_REPLY + 1); };
    std::uint32_t states = 0;
    if (match.invalid) states |= 1;
    if (match.established) states |= bit(IP_CT_ESTABLISHED);
    if (match.related) states |= bit(IP_CT_RELATED);
    if (match.isNew) states |= bit(IP_CT_NEW);
    if (match.untracked) states |= 64;
    if (match.dnat && states != 0) return problem("a match of dnat and of other states");
    out_.expression("ct", [&] {
      out_.be32(NFTA_CT_KEY, match.dnat ? NFT_CT_STATUS : NFT_CT_STATE);
      out_.be32(NFTA_CT_DREG, kFirst);
    });
    out_.bitwise(native(match.dnat ? std::uint32_t{IPS_DST_NAT} : states), native(0));
    out_.compare(match.sense == Sense::Is ? Sense::IsNot : Sense::Is, native(0));
  }
  void operator()(const RateLimitMatch& match) {
    std::uint64_t seconds = 1;
    if (match.unit == RateUnit::Minute) seconds = 60;
    if (match.unit == RateUnit::Hour) seconds = 3600;
    if (match.unit == RateUnit::Day) seconds = 86400;
    out_.expression("limit", [&] {
      out_.be64(NFTA_LIMIT_RATE, match.rate);
      out_.be64(NFTA_LIMIT_UNIT, seconds);
      out_.be32(NFTA_LIMIT_BURST, match.burst);
      out_.be32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
      out_.be32(NFTA_LIMIT_FLAGS, 0);
    });
  }

  // Actions. What ends a packet counts, so that an operator sees how many it ended.
  void operator()(const Accept&) { out_.verdict(NF_ACCEPT); }
  void operator()(const Drop&) {
    out_.counter();
    out_.verdict(NF_DROP);
  }
  void operator()(const Reject&) {
    out_.counter();
    out_.expression("reject", [&] {
      const auto code = family_ == Family::V4 ? kPortUnreachableV4 : kPortUnreachableV6;
      out_.be32(NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
      out_.batch().attribute(NFTA_REJECT_ICMP_CODE, code);
    });
  }
  void operator()(const Return&) { out_.verdict(static_cast<std::uint32_t>(NFT_RETURN)); }
  void operator()(const NoTrack&) {
    out_.expression("notrack", [] {});
  }
  void operator()(const Jump& jump) {
    out_.verdict(static_cast<std::uint32_t>(NFT_JUMP), jump.chain);
  }
  void operator()(const GoTo& jump) {
    out_.verdict(static_cast<std::uint32_t>(NFT_GOTO), jump.chain);
  }
  void operator()(const SetMark& action) {
    out_.meta(NFT_META_MARK, kFirst);
    out_.bitwise(native(~(action.mask | action.value)), native(action.value));
    setMark(kFirst);
  }
  void operator()(const LogPacket& action) {
    out_.expression("log", [&] {
      if (!action.prefix.empty()) out_.text(NFTA_LOG_PREFIX, action.prefix);
      out_.be32(NFTA_LOG_LEVEL, action.level);
    });
  }
  void operator()(const Masquerade& action) {
    loadPorts(action.toPorts, kFirst, kSecond);
    out_.expression("masq", [&] {
      if (action.fullyRandom) out_.be32(NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
      if (!action.toPorts) return;
      out_.be32(NFTA_MASQ_REG_PROTO_MIN, kFirst);
      out_.be32(NFTA_MASQ_REG_PROTO_MAX, kSecond);
    });
  }
  void operator()(const SourceNat& action) {
    if (action.to.family() != family_)
      problem("translation to " + action.to.str() + ": the other IP family");
    const auto bytes = action.to.bytes();
    out_.load(kFirst, {bytes.begin(), bytes.end()});
    loadPorts(action.toPorts, kSecond, kThird);
    out_.expression("nat", [&] {
      out_.be32(NFTA_NAT_TYPE, NFT_NAT_SNAT);
      out_.be32(NFTA_NAT_FAMILY, family_ == Family::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
      out_.be32(NFTA_NAT_REG_ADDR_MIN, kFirst);
      if (action.toPorts) {
        out_.be32(NFTA_NAT_REG_PROTO_MIN, kSecond);
        out_.be32(NFTA_NAT_REG_PROTO_MAX, kThird);
      }
      if (action.fullyRandom) out_.be32(NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
    });
  }
  /// nft before 1.1.1 ends with an assertion when it lists a look-up by what another one found. So
  /// the number goes through the mark, which is put back at once.
  void operator()(const LookUpChain& action) {
    if (action.chains.empty()) return problem("a look-up of no chain");
    out_.meta(NFT_META_MARK, kThird);
    if (action.clear != 0) out_.bitwise(native(~action.clear), native(0), kThird);
    loadInterfaceAndAddress(action.end);
    lookUp(action.map, Sense::Is, kFirst);
    setMark(kFirst);
    out_.meta(NFT_META_MARK, kFirst);
    setMark(kThird);
    anonymous({NftAnonymousSet::Kind::Chains, {}, action.chains}, Sense::Is, NFT_REG_VERDICT);
  }

 private:
  static constexpr std::uint32_t kNoRegister = 0xffffffff;

  void problem(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }

  void loadInterfaceAndAddress(End end) {
    out_.meta(end == End::Source ? NFT_META_IIFNAME : NFT_META_OIFNAME, kFirst);
    out_.payload(NFT_PAYLOAD_NETWORK_HEADER, addressAt(family_, end), kSecond);
  }
  void loadPorts(const std::optional<PortRange>& ports, std::uint32_t low, std::uint32_t high) {
    if (!ports) return;
    out_.load(low, netPort(ports->first));
    out_.load(high, netPort(ports->last));
  }
  void lookUpAttributes(std::string_view set, Sense sense, std::uint32_t reg) {
    out_.text(NFTA_LOOKUP_SET, set);
    out_.be32(NFTA_LOOKUP_SREG, kFirst);
    if (reg != kNoRegister) out_.be32(NFTA_LOOKUP_DREG, reg);
    if (sense == Sense::IsNot) out_.be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
  void setMark(std::uint32_t reg) {
    out_.expression("meta", [&] {
      out_.be32(NFTA_META_KEY, NFT_META_MARK);
      out_.be32(NFTA_META_SREG, reg);
    });
  }
  void lookUp(std::string_view set, Sense sense, std::uint32_t reg) {
    out_.expression("lookup", [&] { lookUpAttributes(set, sense, reg); });
  }
  void anonymous(NftAnonymousSet set, Sense sense, std::uint32_t reg = kNoRegister) {
    out_.expression("lookup", [&] {
      lookUpAttributes(kNftAnonymousSet, sense, reg);
      out_.be32(NFTA_LOOKUP_SET_ID, 0);
      done_.setIds.push_back(out_.size() - sizeof(std::uint32_t));
    });
    done_.sets.push_back(std::move(set));
  }

  Family family_;
  NftWriter out_;
  NftExpressions done_;
  std::string problem_;
};

}  // namespace

void appendNftAlternatives(const Rule& rule, std::vector<Rule>& out) {
  constexpr std::size_t kMost = 4;
  const auto limited = [](const Match& match) {
    return std::holds_alternative<RateLimitMatch>(match);
  };
  // Two rules with one limit each let twice as much through.
  const bool isLimited = std::any_of(rule.matches.begin(), rule.matches.end(), limited);
  for (std::size_t i = 0; !isLimited && i < rule.matches.size(); ++i) {
    const auto* match = std::get_if<PortsMatch>(&rule.matches[i]);
    if (match == nullptr || match->sense == Sense::IsNot) continue;
    const auto ports = merged(match->ports);
    if (ports.size() < 2 || ports.size() > kMost ||
        std::none_of(ports.begin(), ports.end(), isRange))
      continue;
    for (const PortRange& range : ports) {
      out.push_back(rule);
      std::get<PortsMatch>(out.back().matches[i]).ports = {range};
      if (range.first != ports.front().first) out.back().comment.clear();
    }
    return;
  }
  out.push_back(rule);
}

Result<NftExpressions> nftExpressions(const Rule& rule, Family family) {
  return Encoder(family).encode(rule);
}

}  // namespace margay::dataplane
