#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <variant>

#include "dataplane/xtables_encoder.h"

namespace margay::dataplane::xtables {
namespace {

Fail invalid(std::string why) {
  return fail(Errc::Invalid, std::move(why));
}

template <class Match>
Result<void> setOnce(std::optional<Match>& slot, const Match& match, const char* what) {
  if (slot) return invalid(std::string("a rule of iptables takes one ") + what);
  slot = match;
  return {};
}

/// First and last address that the prefix covers.
void writeRange(const Prefix& prefix, nf_inet_addr& first, nf_inet_addr& last) {
  const auto masked = prefix.masked();
  const auto bytes = masked.address.bytes();
  auto* const lastBytes = reinterpret_cast<std::uint8_t*>(&last);
  std::memcpy(&first, bytes.data(), bytes.size());
  std::memcpy(&last, bytes.data(), bytes.size());
  for (std::size_t bit = prefix.length; bit < bytes.size() * 8; ++bit)
    lastBytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
}

class MatchEncoder {
 public:
  MatchEncoder(Family family, const SetIndexOf& setIndexOf, EntryBuilder& builder)
      : family_(family), setIndexOf_(setIndexOf), builder_(builder) {}

  /// Matches that need the protocol come after every ProtocolMatch was seen.
  void setProtocol(const std::optional<ProtocolMatch>& protocol) { head_.protocol = protocol; }
  [[nodiscard]] const EntryHead& head() const { return head_; }

  Result<void> operator()(const InterfaceMatch& match);
  Result<void> operator()(const NetMatch& match);
  Result<void> operator()(const ProtocolMatch&) { return {}; }
  Result<void> operator()(const PortsMatch& match);
  Result<void> operator()(const IcmpMatch& match);
  Result<void> operator()(const SetMatch& match);
  Result<void> operator()(const MarkMatch& match);
  Result<void> operator()(const ConntrackMatch& match);
  Result<void> operator()(const RateLimitMatch& match);

 private:
  Family family_;
  const SetIndexOf& setIndexOf_;
  EntryBuilder& builder_;
  EntryHead head_;
};

Result<void> MatchEncoder::operator()(const InterfaceMatch& match) {
  if (match.name.empty() || match.name.size() >= IFNAMSIZ)
    return invalid("interface \"" + match.name + "\": a name has 1 to 15 bytes");
  return match.side == Side::In ? setOnce(head_.in, match, "input interface")
                                : setOnce(head_.out, match, "output interface");
}

Result<void> MatchEncoder::operator()(const NetMatch& match) {
  if (match.net.family() != family_ || match.net.length > addressBits(family_))
    return invalid(match.net.str() + " is no network of the table's family");
  auto& slot = match.end == End::Source ? head_.source : head_.destination;
  if (!slot) {
    slot = match;
    return {};
  }
  xt_iprange_mtinfo info{};
  const bool inverted = match.sense == Sense::IsNot;
  if (match.end == End::Source) {
    writeRange(match.net, info.src_min, info.src_max);
    info.flags = static_cast<__u8>(IPRANGE_SRC | (inverted ? IPRANGE_SRC_INV : 0));
  } else {
    writeRange(match.net, info.dst_min, info.dst_max);
    info.flags = static_cast<__u8>(IPRANGE_DST | (inverted ? IPRANGE_DST_INV : 0));
  }
  builder_.addMatch("iprange", 1, info);
  return {};
}

Result<void> MatchEncoder::operator()(const PortsMatch& match) {
  if (!hasPorts(head_.protocol))
    return invalid("ports need protocol TCP, UDP, SCTP, DCCP or UDP-Lite in the same rule");
  xt_multiport_v1 info{};
  info.flags = match.end == End::Source ? XT_MULTIPORT_SOURCE : XT_MULTIPORT_DESTINATION;
  info.invert = match.sense == Sense::IsNot ? 1 : 0;
  for (const auto& range : match.ports) {
    const std::size_t slots = range.first == range.last ? 1 : 2;
    if (range.first > range.last) return invalid("a port range ends before it begins");
    if (info.count + slots > XT_MULTI_PORTS)
      return invalid("a rule takes at most 15 ports, a range counts as two");
    if (slots == 2) info.pflags[info.count] = 1;
    info.ports[info.count++] = range.first;
    if (slots == 2) info.ports[info.count++] = range.last;
  }
  if (info.count == 0) return invalid("an empty list of ports");
  builder_.addMatch("multiport", 1, info);
  return {};
}

Result<void> MatchEncoder::operator()(const IcmpMatch& match) {
  const bool v4 = family_ == Family::V4;
  const std::uint8_t protocol = v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
  if (head_.protocol != ProtocolMatch{protocol, Sense::Is})
    return invalid(v4 ? "ICMP types need protocol ICMP in the same rule"
                      : "ICMPv6 types need protocol ICMPv6 in the same rule");
  // To the kernel 255 means every type.
  if (match.type == 255) return invalid("ICMP type 255 cannot be matched");
  ipt_icmp info{};
  info.type = match.type;
  info.code[0] = match.code.value_or(0);
  info.code[1] = match.code.value_or(255);
  info.invflags = match.sense == Sense::IsNot ? IPT_ICMP_INV : 0;
  // ip6t_icmp has the same layout.
  builder_.addMatch(v4 ? "icmp" : "icmp6", 0, info);
  return {};
}

Result<void> MatchEncoder::operator()(const SetMatch& match) {
  if (match.dimensions.empty() || match.dimensions.size() > IPSET_DIM_MAX)
    return invalid("set " + match.set + ": one to three of src and dst");
  const auto index = setIndexOf_(match.set);
  if (!index) return Fail(index.error());
  xt_set_info_match_v4 info{};
  info.match_set.index = *index;
  info.match_set.dim = static_cast<__u8>(match.dimensions.size());
  std::uint8_t flags = match.sense == Sense::IsNot ? IPSET_INV_MATCH : 0;
  for (std::size_t i = 0; i < match.dimensions.size(); ++i)
    if (match.dimensions[i] == End::Source) flags |= static_cast<std::uint8_t>(2U << i);
  info.match_set.flags = flags;
  builder_.addMatch("set", 4, info);
  return {};
}

Result<void> MatchEncoder::operator()(const MarkMatch& match) {
  xt_mark_mtinfo1 info{};
  info.mark = match.value;
  info.mask = match.mask;
  info.invert = match.sense == Sense::IsNot ? 1 : 0;
  builder_.addMatch("mark", 1, info);
  return {};
}

Result<void> MatchEncoder::operator()(const ConntrackMatch& match) {
  unsigned states = 0;
  if (match.isNew) states |= XT_CONNTRACK_STATE_BIT(IP_CT_NEW);
  if (match.established) states |= XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED);
  if (match.related) states |= XT_CONNTRACK_STATE_BIT(IP_CT_RELATED);
  if (match.invalid) states |= XT_CONNTRACK_STATE_INVALID;
  if (match.untracked) states |= XT_CONNTRACK_STATE_UNTRACKED;
  if (match.dnat) states |= XT_CONNTRACK_STATE_DNAT;
  if (states == 0) return invalid("a match on connection states without a state");
  xt_conntrack_mtinfo3 info{};
  info.match_flags = XT_CONNTRACK_STATE;
  info.invert_flags = match.sense == Sense::IsNot ? XT_CONNTRACK_STATE : 0;
  info.state_mask = static_cast<__u16>(states);
  builder_.addMatch("conntrack", 3, info);
  return {};
}

Result<void> MatchEncoder::operator()(const RateLimitMatch& match) {
  static constexpr std::uint32_t kUnitSeconds[] = {1, 60, 3600, 86400};
  const std::uint32_t scaled = XT_LIMIT_SCALE * kUnitSeconds[static_cast<std::size_t>(match.unit)];
  if (match.rate == 0 || match.rate > scaled)
    return invalid("a rate limit is from 1 a day to 10000 a second");
  xt_rateinfo info{};
  info.avg = scaled / match.rate;
  info.burst = match.burst;
  // The kernel counts in 32 bits: a burst must refill within a day.
  if (match.burst == 0 ||
      std::uint64_t{info.avg} * match.burst > std::uint64_t{XT_LIMIT_SCALE} * 86400)
    return invalid("a burst is at least 1 and refills within a day at the given rate");
  builder_.addMatch("limit", 0, info);
  return {};
}

Result<std::optional<ProtocolMatch>> protocolOf(const Rule& rule) {
  std::optional<ProtocolMatch> found;
  for (const auto& match : rule.matches) {
    const auto* protocol = std::get_if<ProtocolMatch>(&match);
    if (protocol == nullptr) continue;
    if (protocol->number == 0) return invalid("protocol 0 cannot be matched");
    if (auto set = setOnce(found, *protocol, "protocol"); !set) return Fail(set.error());
  }
  return found;
}

}  // namespace

Result<EntryHead> encodeMatches(const Rule& rule, Family family, const SetIndexOf& setIndexOf,
                                EntryBuilder& builder) {
  const auto protocol = protocolOf(rule);
  if (!protocol) return Fail(protocol.error());
  MatchEncoder encoder(family, setIndexOf, builder);
  encoder.setProtocol(*protocol);
  for (const auto& match : rule.matches)
    if (auto done = std::visit(encoder, match); !done) return Fail(done.error());
  return encoder.head();
}

}  // namespace margay::dataplane::xtables
