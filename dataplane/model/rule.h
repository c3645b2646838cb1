#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/network.h"

/// Packet-filter rules in a backend-neutral form: built once by pure functions, written by a driver
/// a backend. Every match of a rule must hold (conjunction); order of matches is kept.
namespace margay::dataplane {

/// At most 28 bytes. Ours begin with kChainPrefix and nobody else's do.
using ChainName = std::string;
inline constexpr std::string_view kChainPrefix = "mgy-";

enum class Sense : std::uint8_t { Is, IsNot };
enum class End : std::uint8_t { Source, Destination };
enum class Side : std::uint8_t { In, Out };
enum class NameMatch : std::uint8_t { Exact, Prefix };

struct InterfaceMatch {
  Side side = Side::In;
  IfName name;
  NameMatch how = NameMatch::Exact;
  Sense sense = Sense::Is;
  bool operator==(const InterfaceMatch&) const = default;
};
struct NetMatch {
  End end = End::Source;
  Prefix net;
  Sense sense = Sense::Is;
  bool operator==(const NetMatch&) const = default;
};
struct ProtocolMatch {
  std::uint8_t number = 0;  ///< IPPROTO_*
  Sense sense = Sense::Is;
  bool operator==(const ProtocolMatch&) const = default;
};
struct PortRange {
  std::uint16_t first = 0;  ///< host order, inclusive
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};
/// At most 15 slots, a range of more than one port uses two. The rule must also hold a
/// ProtocolMatch of TCP, UDP, SCTP, DCCP or UDP-Lite.
struct PortsMatch {
  End end = End::Destination;
  std::vector<PortRange> ports;
  Sense sense = Sense::Is;
  bool operator==(const PortsMatch&) const = default;
};
/// ICMP in an IPv4 table, ICMPv6 in an IPv6 table. The rule must also hold the ProtocolMatch.
struct IcmpMatch {
  std::uint8_t type = 0;
  std::optional<std::uint8_t> code;
  Sense sense = Sense::Is;
  bool operator==(const IcmpMatch&) const = default;
};
/// `dimensions` has one entry for each part of the set's type: {Source} for hash:net, {Destination,
/// Destination} for hash:ip,port, {Source, Source} for hash:net,iface on the way in. `type` is that
/// of the set.
struct SetMatch {
  SetName set;
  std::vector<End> dimensions;
  Sense sense = Sense::Is;
  SetType type = SetType::HashNet;
  bool operator==(const SetMatch&) const = default;
};
struct MarkMatch {
  std::uint32_t value = 0;
  std::uint32_t mask = 0xffffffff;
  Sense sense = Sense::Is;
  bool operator==(const MarkMatch&) const = default;
};
/// States are a disjunction.
struct ConntrackMatch {
  bool isNew = false;
  bool established = false;
  bool related = false;
  bool invalid = false;
  bool untracked = false;
  bool dnat = false;
  Sense sense = Sense::Is;
  bool operator==(const ConntrackMatch&) const = default;
};
enum class RateUnit : std::uint8_t { Second, Minute, Hour, Day };
struct RateLimitMatch {
  std::uint32_t rate = 0;
  RateUnit unit = RateUnit::Second;
  std::uint32_t burst = 5;
  bool operator==(const RateLimitMatch&) const = default;
};

using Match = std::variant<InterfaceMatch, NetMatch, ProtocolMatch, PortsMatch, IcmpMatch, SetMatch,
                           MarkMatch, ConntrackMatch, RateLimitMatch>;

struct Accept {
  bool operator==(const Accept&) const = default;
};
struct Drop {
  bool operator==(const Drop&) const = default;
};
struct Reject {
  bool operator==(const Reject&) const = default;
};  ///< ICMP port unreachable
struct Return {
  bool operator==(const Return&) const = default;
};
struct NoTrack {
  bool operator==(const NoTrack&) const = default;
};
struct Jump {
  ChainName chain;
  bool operator==(const Jump&) const = default;
};
/// Like Jump, but a return goes to the caller's caller.
struct GoTo {
  ChainName chain;
  bool operator==(const GoTo&) const = default;
};
/// mark = (mark & ~mask) | value
struct SetMark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
  bool operator==(const SetMark&) const = default;
};
/// LOG: continues with the next rule. `prefix` at most 29 bytes; level as in syslog (5 is notice).
struct LogPacket {
  std::string prefix;
  std::uint8_t level = 5;
  bool operator==(const LogPacket&) const = default;
};
struct Masquerade {
  std::optional<PortRange> toPorts;
  bool fullyRandom = true;
  bool operator==(const Masquerade&) const = default;
};
struct SourceNat {
  Address to;
  std::optional<PortRange> toPorts;
  bool fullyRandom = true;
  bool operator==(const SourceNat&) const = default;
};

/// Looks the interface and address of an end up in `map` (SetType::NumberMap) and goes to the chain
/// that has the number which it finds, with the bits `clear` of the mark cleared; continues with
/// the next rule, the mark as it is, if it finds none. Source is the interface the packet came in
/// by, Destination the one that it leaves by. nftables only.
struct LookUpChain {
  SetName map;
  End end = End::Source;
  std::map<std::uint32_t, ChainName> chains;
  std::uint32_t clear = 0;
  bool operator==(const LookUpChain&) const = default;
};

using Action = std::variant<Accept, Drop, Reject, Return, NoTrack, Jump, GoTo, SetMark, LogPacket,
                            Masquerade, SourceNat, LookUpChain>;

struct Rule {
  std::vector<Match> matches;
  Action action;
  std::string comment;  ///< empty: none. At most 255 bytes.
  bool operator==(const Rule&) const = default;
};

enum class TableName : std::uint8_t { Raw, Mangle, Nat, Filter };
enum class BaseChain : std::uint8_t { Prerouting, Input, Forward, Output, Postrouting };
enum class Position : std::uint8_t { First, Last };

struct TableId {
  Family family = Family::V4;
  TableName table = TableName::Filter;
  auto operator<=>(const TableId&) const = default;
  [[nodiscard]] std::string str() const;  ///< "filter (IPv4)"
};

/// A rule of ours in a chain that is not ours: before all others, or after all others. Its comment
/// must begin with kHookCommentPrefix; that is how it is known as ours.
struct HookRule {
  BaseChain chain = BaseChain::Forward;
  Position position = Position::First;
  Rule rule;
  bool operator==(const HookRule&) const = default;
};
inline constexpr std::string_view kHookCommentPrefix = "margay:";

/// A chain's rules, shared and immutable: equal pointers are equal content.
using ChainRules = std::shared_ptr<const std::vector<Rule>>;

/// All that we want in one kernel table. Within one base chain and position, hooks keep their
/// order.
struct RuleTable {
  std::map<ChainName, ChainRules> chains;
  std::vector<HookRule> hooks;
};

/// As iptables-save writes it, without "-A CHAIN" ("-i cali+ -p tcp -j mgy-from-workload"): for
/// plans, golden tests and logs.
[[nodiscard]] std::string ruleText(const Rule& rule, Family family);
[[nodiscard]] std::string_view baseChainText(BaseChain chain);  ///< "FORWARD"
[[nodiscard]] std::string_view tableText(TableName table);      ///< "filter"

}  // namespace margay::dataplane
