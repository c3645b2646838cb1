#include "tests/dataplane/iptables_generators.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <optional>

namespace margay::testing {
namespace {

using namespace margay::dataplane;

template <class T>
T pick(std::vector<T> values) {
  return *rc::gen::elementOf(std::move(values));
}
template <class T>
T upTo(T low, T high) {
  return *rc::gen::inRange<T>(low, static_cast<T>(high + 1));
}
bool maybe() {
  return *rc::gen::arbitrary<bool>();
}
Sense sense() {
  return maybe() ? Sense::Is : Sense::IsNot;
}
End end() {
  return maybe() ? End::Source : End::Destination;
}

Address address(Family family) {
  std::array<std::uint8_t, 16> bytes{};
  for (auto& byte : bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  return Address::fromBytes(
      {bytes.data(), family == Family::V4 ? std::size_t{4} : std::size_t{16}});
}

PortRange portRange() {
  const auto first = upTo<int>(0, 65535);
  const auto last = maybe() ? first : upTo<int>(first, 65535);
  return {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
}

std::vector<PortRange> ports() {
  std::vector<PortRange> out(upTo<std::size_t>(1, 7));
  std::generate(out.begin(), out.end(), portRange);
  return out;
}

Match interfaceMatch(Side side) {
  return InterfaceMatch{side, pick<IfName>({"lo", "cali0123456789a", "eth0"}),
                        maybe() ? NameMatch::Exact : NameMatch::Prefix, sense()};
}

Match netMatch(Family family) {
  return NetMatch{
      end(), Prefix{address(family), upTo<std::uint8_t>(0, addressBits(family))}.masked(), sense()};
}

ConntrackMatch conntrackMatch() {
  ConntrackMatch out{maybe(), maybe(), maybe(), maybe(), maybe(), maybe(), sense()};
  if (!out.isNew && !out.established && !out.related && !out.invalid && !out.untracked)
    out.dnat = true;
  return out;
}

RateLimitMatch rateLimit() {
  const auto unit =
      pick<RateUnit>({RateUnit::Second, RateUnit::Minute, RateUnit::Hour, RateUnit::Day});
  const auto rate = upTo<std::uint32_t>(1, 9999);
  return {rate, unit, unit == RateUnit::Day ? std::min(rate, 5U) : upTo<std::uint32_t>(1, 20)};
}

/// The protocol comes with what needs it.
void addProtocol(Family family, std::vector<Match>& matches) {
  switch (upTo(0, 3)) {
    case 0:
      matches.push_back(
          ProtocolMatch{pick<std::uint8_t>({IPPROTO_TCP, IPPROTO_UDP, 47, 253}), sense()});
      break;
    case 1:
      matches.push_back(ProtocolMatch{pick<std::uint8_t>(
          {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE})});
      matches.push_back(PortsMatch{end(), ports(), sense()});
      break;
    case 2: {
      const bool v4 = family == Family::V4;
      matches.push_back(
          ProtocolMatch{v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6}});
      matches.push_back(
          IcmpMatch{upTo<std::uint8_t>(0, 200),
                    maybe() ? std::optional(upTo<std::uint8_t>(0, 200)) : std::nullopt, sense()});
      break;
    }
    default:
      break;
  }
}

std::vector<Match> matchesOf(Family family, const std::vector<std::string>& sets) {
  std::vector<Match> out;
  if (upTo(0, 3) == 0) out.push_back(interfaceMatch(Side::In));
  if (upTo(0, 3) == 0) out.push_back(interfaceMatch(Side::Out));
  addProtocol(family, out);
  for (auto count = upTo(0, 4); count > 0; --count) {
    switch (upTo(0, 4)) {
      case 0:
        out.push_back(netMatch(family));
        break;
      case 1:
        if (!sets.empty()) out.push_back(SetMatch{pick(sets), {end()}, sense()});
        break;
      case 2:
        out.push_back(MarkMatch{*rc::gen::arbitrary<std::uint32_t>(),
                                *rc::gen::arbitrary<std::uint32_t>(), sense()});
        break;
      case 3:
        out.push_back(conntrackMatch());
        break;
      default:
        out.push_back(rateLimit());
        break;
    }
  }
  return out;
}

bool hasPositivePortProtocol(const std::vector<Match>& matches) {
  return std::any_of(matches.begin(), matches.end(), [](const Match& match) {
    const auto* protocol = std::get_if<ProtocolMatch>(&match);
    return protocol != nullptr && protocol->sense == Sense::Is &&
           (protocol->number == IPPROTO_TCP || protocol->number == IPPROTO_UDP);
  });
}

Action natAction(Family family, const std::vector<Match>& matches) {
  std::optional<PortRange> toPorts;
  if (hasPositivePortProtocol(matches) && maybe()) toPorts = portRange();
  // A range that begins with port 0 has no text form.
  if (toPorts && toPorts->first == 0) toPorts.reset();
  if (maybe()) return Masquerade{toPorts, maybe()};
  return SourceNat{address(family), toPorts, maybe()};
}

Action actionOf(TableId table, const std::vector<ChainName>& chains,
                const std::vector<Match>& matches) {
  switch (upTo(0, 7)) {
    case 0:
      return Accept{};
    case 1:
      return Drop{};
    case 2:
      return Return{};
    case 3:
      return Jump{pick(chains)};
    case 4:
      return GoTo{pick(chains)};
    case 5:
      return SetMark{*rc::gen::arbitrary<std::uint32_t>(), *rc::gen::arbitrary<std::uint32_t>()};
    case 6:
      return LogPacket{pick<std::string>({"", "p", "margay: drop \"x\" "}),
                       upTo<std::uint8_t>(0, 7)};
    default:
      break;
  }
  switch (table.table) {
    case TableName::Raw:
      return NoTrack{};
    case TableName::Filter:
      return Reject{};
    case TableName::Nat:
      return natAction(table.family, matches);
    case TableName::Mangle:
      break;
  }
  return Drop{};
}

}  // namespace

rc::Gen<Rule> iptablesRule(TableId table, std::vector<ChainName> chains,
                           std::vector<std::string> sets) {
  return rc::gen::exec([=] {
    Rule rule;
    rule.matches = matchesOf(table.family, sets);
    rule.action = actionOf(table, chains, rule.matches);
    rule.comment =
        pick<std::string>({"", "", "plain", "policy a.b of tier \"default\"", "margay: x"});
    return rule;
  });
}

}  // namespace margay::testing
