#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <variant>

#include "dataplane/xtables_encoder.h"

namespace margay::dataplane::xtables {
namespace {

/// XT_EXTENSION_MAXNAMELEN leaves 28 bytes for a name and its end.
constexpr std::size_t kMaxChainName = 28;
/// The highest of Linux 3.14 and later; iptables-save reads no lower one.
constexpr std::uint8_t kCtRevision = 2;

/// What MASQUERADE and SNAT are told, before it takes the form of their revision.
struct NatRange {
  std::optional<Address> address;
  std::optional<PortRange> ports;
  bool fullyRandom = false;

  [[nodiscard]] unsigned flags() const {
    return (address ? NF_NAT_RANGE_MAP_IPS : 0U) | (ports ? NF_NAT_RANGE_PROTO_SPECIFIED : 0U) |
           (fullyRandom ? NF_NAT_RANGE_PROTO_RANDOM_FULLY : 0U);
  }
};

class ActionEncoder {
 public:
  ActionEncoder(Family family, EntryHead& head, EntryBuilder& builder)
      : family_(family), head_(head), builder_(builder) {}

  Result<void> operator()(const Accept&) { return verdict("ACCEPT"); }
  Result<void> operator()(const Drop&) { return verdict("DROP"); }
  Result<void> operator()(const Return&) { return verdict("RETURN"); }
  Result<void> operator()(const Jump& jump) { return jumpTo(jump.chain); }
  Result<void> operator()(const GoTo& jump) {
    head_.goTo = true;
    return jumpTo(jump.chain);
  }
  Result<void> operator()(const Reject&);
  Result<void> operator()(const NoTrack&);
  Result<void> operator()(const SetMark& action);
  Result<void> operator()(const LogPacket& action);
  Result<void> operator()(const Masquerade& action);
  Result<void> operator()(const SourceNat& action);
  Result<void> operator()(const LookUpChain& action) {
    return fail(Errc::Unsupported, "map " + action.map + ": legacy tables have no maps");
  }

 private:
  Result<void> verdict(std::string_view name) {
    builder_.setStandardTarget(name);
    return {};
  }
  Result<void> jumpTo(const ChainName& chain) {
    if (chain.empty() || chain.size() > kMaxChainName)
      return fail(Errc::Invalid, "chain \"" + chain + "\": a name has 1 to 28 bytes");
    builder_.setStandardTarget(chain);
    return {};
  }
  Result<void> nat(std::string_view target, const NatRange& range, std::uint8_t revisionV6);

  Family family_;
  EntryHead& head_;
  EntryBuilder& builder_;
};

Result<void> ActionEncoder::operator()(const Reject&) {
  if (family_ == Family::V4) {
    ipt_reject_info info{};
    info.with = IPT_ICMP_PORT_UNREACHABLE;
    builder_.setTarget("REJECT", 0, info);
  } else {
    ip6t_reject_info info{};
    info.with = IP6T_ICMP6_PORT_UNREACH;
    builder_.setTarget("REJECT", 0, info);
  }
  return {};
}

Result<void> ActionEncoder::operator()(const NoTrack&) {
  xt_ct_target_info_v1 info{};
  info.flags = XT_CT_NOTRACK;
  builder_.setTarget("CT", kCtRevision, info);
  return {};
}

Result<void> ActionEncoder::operator()(const SetMark& action) {
  // The kernel does (mark & ~mask) ^ value: bits of value outside the mask join it.
  xt_mark_tginfo2 info{};
  info.mark = action.value;
  info.mask = action.mask | action.value;
  builder_.setTarget("MARK", 2, info);
  return {};
}

Result<void> ActionEncoder::operator()(const LogPacket& action) {
  xt_log_info info{};
  if (action.prefix.size() >= sizeof info.prefix ||
      action.prefix.find_first_of(std::string_view("\0\n", 2)) != std::string::npos)
    return fail(Errc::Invalid, "a log prefix is one line of at most 29 bytes");
  if (action.level > 7) return fail(Errc::Invalid, "a log level is from 0 to 7");
  info.level = action.level;
  std::copy(action.prefix.begin(), action.prefix.end(), info.prefix);
  builder_.setTarget("LOG", 0, info);
  return {};
}

Result<void> ActionEncoder::operator()(const Masquerade& action) {
  return nat("MASQUERADE", {std::nullopt, action.toPorts, action.fullyRandom}, 0);
}

Result<void> ActionEncoder::operator()(const SourceNat& action) {
  if (action.to.family() != family_)
    return fail(Errc::Invalid, action.to.str() + " is no address of the table's family");
  return nat("SNAT", {action.to, action.toPorts, action.fullyRandom}, 1);
}

Result<void> ActionEncoder::nat(std::string_view target, const NatRange& range,
                                std::uint8_t revisionV6) {
  if (range.ports && !hasPorts(head_.protocol))
    return fail(Errc::Invalid, "ports to translate to need a protocol with ports in the same rule");
  if (range.ports && range.ports->first > range.ports->last)
    return fail(Errc::Invalid, "a port range ends before it begins");
  const auto ports = range.ports.value_or(PortRange{});
  if (family_ == Family::V4) {
    nf_nat_ipv4_multi_range_compat info{};
    info.rangesize = 1;
    info.range[0].flags = range.flags();
    if (range.address) std::memcpy(&info.range[0].min_ip, range.address->bytes().data(), 4);
    info.range[0].max_ip = info.range[0].min_ip;
    info.range[0].min.all = htons(ports.first);
    info.range[0].max.all = htons(ports.last);
    builder_.setTarget(target, 0, info);
  } else {
    nf_nat_range info{};
    info.flags = range.flags();
    if (range.address) std::memcpy(&info.min_addr, range.address->bytes().data(), 16);
    info.max_addr = info.min_addr;
    info.min_proto.all = htons(ports.first);
    info.max_proto.all = htons(ports.last);
    builder_.setTarget(target, revisionV6, info);
  }
  return {};
}

}  // namespace

Result<void> encodeAction(const Rule& rule, Family family, EntryHead& head, EntryBuilder& builder) {
  return std::visit(ActionEncoder(family, head, builder), rule.action);
}

}  // namespace margay::dataplane::xtables
