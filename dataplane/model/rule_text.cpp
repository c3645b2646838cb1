#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "dataplane/model/rule.h"

namespace margay::dataplane {
namespace {

std::string protocolText(std::uint8_t number) {
  switch (number) {
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_DCCP:
      return "dccp";
    case IPPROTO_GRE:
      return "gre";
    case IPPROTO_ESP:
      return "esp";
    case IPPROTO_AH:
      return "ah";
    case IPPROTO_ICMPV6:
      return "ipv6-icmp";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_UDPLITE:
      return "udplite";
    default:
      return std::to_string(number);
  }
}

std::string hexText(std::uint32_t value) {
  std::array<char, 11> text{};
  std::snprintf(text.data(), text.size(), "0x%x", value);
  return text.data();
}

std::string maskedText(std::uint32_t value, std::uint32_t mask) {
  return mask == 0xffffffff ? hexText(value) : hexText(value) + '/' + hexText(mask);
}

std::string rangeText(const PortRange& range, char between) {
  auto text = std::to_string(range.first);
  if (range.last != range.first) text += between + std::to_string(range.last);
  return text;
}

/// Bare where only letters, digits, '-' and '_' are in it; else in quotes, with backslashes.
std::string quoted(const std::string& text) {
  constexpr std::string_view kBare =
      "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (!text.empty() && text.find_first_not_of(kBare) == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '\'') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string endText(End end) {
  return end == End::Source ? "src" : "dst";
}

/// iptables keeps the period between two packets in units of 0.1 ms and chooses the unit anew.
std::string rateText(const RateLimitMatch& match) {
  struct Unit {
    const char* name;
    std::uint32_t period;
  };
  static constexpr std::array<Unit, 4> kUnits{
      {{"day", 864000000}, {"hour", 36000000}, {"min", 600000}, {"sec", 10000}}};
  const auto unit = kUnits[kUnits.size() - 1 - static_cast<std::size_t>(match.unit)].period;
  const auto period = match.rate == 0 ? 0 : unit / match.rate;
  if (period == 0) return "0/sec";
  std::size_t i = 1;
  while (i < kUnits.size() && period <= kUnits[i].period &&
         kUnits[i].period / period >= kUnits[i].period % period) {
    ++i;
  }
  return std::to_string(kUnits[i - 1].period / period) + '/' + kUnits[i - 1].name;
}

/// Last address of the prefix, for the notation "first-last".
std::string rangeOf(const Prefix& prefix) {
  const auto first = prefix.masked().address;
  std::array<std::uint8_t, 16> bytes{};
  const auto size = first.bytes().size();
  std::copy(first.bytes().begin(), first.bytes().end(), bytes.begin());
  for (std::size_t bit = prefix.length; bit < size * 8; ++bit)
    bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
  return first.str() + '-' + Address::fromBytes({bytes.data(), size}).str();
}

/// Writes "-m" matches in the order of the rule. Networks, interfaces and protocol come before all
/// of them, in an order of their own: this keeps the first of each for the caller.
class MatchText {
 public:
  explicit MatchText(Family family) : family_(family) {}

  void operator()(const InterfaceMatch& match) {
    auto& slot = match.side == Side::In ? in_ : out_;
    slot += negation(match.sense) + (match.side == Side::In ? " -i " : " -o ") + match.name +
            (match.how == NameMatch::Prefix ? "+" : "");
  }
  void operator()(const NetMatch& match) {
    const bool isSource = match.end == End::Source;
    auto& seen = isSource ? sourceSeen_ : destinationSeen_;
    if (seen) {
      add("iprange", match.sense,
          std::string(isSource ? "--src-range " : "--dst-range ") + rangeOf(match.net));
      return;
    }
    seen = true;
    if (match.net.length == 0 && match.sense == Sense::Is) return;
    (isSource ? source_ : destination_) =
        negation(match.sense) + (isSource ? " -s " : " -d ") + match.net.masked().str();
  }
  void operator()(const ProtocolMatch& match) {
    protocol_ += negation(match.sense) + " -p " + protocolText(match.number);
  }
  void operator()(const PortsMatch& match) {
    std::string list;
    for (const auto& range : match.ports) list += (list.empty() ? "" : ",") + rangeText(range, ':');
    add("multiport", match.sense, (match.end == End::Source ? "--sports " : "--dports ") + list);
  }
  void operator()(const IcmpMatch& match) {
    const bool v4 = family_ == Family::V4;
    auto type = std::to_string(match.type);
    if (match.code) type += '/' + std::to_string(*match.code);
    add(v4 ? "icmp" : "icmp6", match.sense, (v4 ? "--icmp-type " : "--icmpv6-type ") + type);
  }
  void operator()(const SetMatch& match) {
    std::string ends;
    for (const auto end : match.dimensions) ends += (ends.empty() ? "" : ",") + endText(end);
    add("set", match.sense, "--match-set " + match.set + ' ' + ends);
  }
  void operator()(const MarkMatch& match) {
    add("mark", match.sense, "--mark " + maskedText(match.value, match.mask));
  }
  void operator()(const ConntrackMatch& match) {
    std::string states;
    const auto state = [&](bool holds, const char* name) {
      if (holds) states += std::string(states.empty() ? "" : ",") + name;
    };
    state(match.invalid, "INVALID");
    state(match.isNew, "NEW");
    state(match.related, "RELATED");
    state(match.established, "ESTABLISHED");
    state(match.untracked, "UNTRACKED");
    state(match.dnat, "DNAT");
    add("conntrack", match.sense, "--ctstate " + states);
  }
  void operator()(const RateLimitMatch& match) {
    auto text = "--limit " + rateText(match);
    if (match.burst != 5) text += " --limit-burst " + std::to_string(match.burst);
    add("limit", Sense::Is, text);
  }
  void comment(const std::string& text) {
    if (!text.empty()) add("comment", Sense::Is, "--comment " + quoted(text));
  }
  [[nodiscard]] std::string str() const {
    return source_ + destination_ + in_ + out_ + protocol_ + matches_;
  }

 private:
  static std::string negation(Sense sense) { return sense == Sense::IsNot ? " !" : ""; }
  void add(const char* extension, Sense sense, const std::string& option) {
    matches_ += std::string(" -m ") + extension + negation(sense) + ' ' + option;
  }

  Family family_;
  bool sourceSeen_ = false;
  bool destinationSeen_ = false;
  std::string source_, destination_, in_, out_, protocol_, matches_;
};

struct ActionText {
  Family family;

  std::string operator()(const Accept&) const { return "-j ACCEPT"; }
  std::string operator()(const Drop&) const { return "-j DROP"; }
  std::string operator()(const Return&) const { return "-j RETURN"; }
  std::string operator()(const NoTrack&) const { return "-j CT --notrack"; }
  std::string operator()(const Jump& jump) const { return "-j " + jump.chain; }
  std::string operator()(const GoTo& jump) const { return "-g " + jump.chain; }
  std::string operator()(const Reject&) const {
    return family == Family::V4 ? "-j REJECT --reject-with icmp-port-unreachable"
                                : "-j REJECT --reject-with icmp6-port-unreachable";
  }
  std::string operator()(const SetMark& action) const {
    return "-j MARK --set-xmark " + hexText(action.value) + '/' +
           hexText(action.mask | action.value);
  }
  std::string operator()(const LogPacket& action) const {
    std::string text = "-j LOG";
    if (!action.prefix.empty()) text += " --log-prefix " + quoted(action.prefix);
    if (action.level != 4) text += " --log-level " + std::to_string(action.level);
    return text;
  }
  std::string operator()(const Masquerade& action) const {
    std::string text = "-j MASQUERADE";
    if (action.toPorts) text += " --to-ports " + rangeText(*action.toPorts, '-');
    return text + (action.fullyRandom ? " --random-fully" : "");
  }
  std::string operator()(const SourceNat& action) const {
    auto to = action.to.str();
    if (action.toPorts) {
      if (action.to.family() == Family::V6) to = '[' + to + ']';
      to += ':' + rangeText(*action.toPorts, '-');
    }
    return "-j SNAT --to-source " + to + (action.fullyRandom ? " --random-fully" : "");
  }
  std::string operator()(const LookUpChain& action) const {
    const std::string end = action.end == End::Source ? "src,src" : "dst,dst";
    std::string text =
        "map " + end + " @" + action.map + " mark & " + hexText(~action.clear) + " vmap {";
    std::string_view next = " ";
    for (const auto& [number, chain] : action.chains) {
      text.append(next).append(numberText(number)).append(" : goto ").append(chain);
      next = ", ";
    }
    return text + " }";
  }
};

}  // namespace

std::string ruleText(const Rule& rule, Family family) {
  MatchText matches(family);
  for (const auto& match : rule.matches) std::visit(matches, match);
  matches.comment(rule.comment);
  const auto text = matches.str() + ' ' + std::visit(ActionText{family}, rule.action);
  return text.substr(1);
}

std::string_view baseChainText(BaseChain chain) {
  switch (chain) {
    case BaseChain::Prerouting:
      return "PREROUTING";
    case BaseChain::Input:
      return "INPUT";
    case BaseChain::Forward:
      return "FORWARD";
    case BaseChain::Output:
      return "OUTPUT";
    case BaseChain::Postrouting:
      return "POSTROUTING";
  }
  return "";
}

std::string_view tableText(TableName table) {
  switch (table) {
    case TableName::Raw:
      return "raw";
    case TableName::Mangle:
      return "mangle";
    case TableName::Nat:
      return "nat";
    case TableName::Filter:
      return "filter";
  }
  return "";
}

std::string TableId::str() const {
  return std::string(tableText(table)) + (family == Family::V4 ? " (IPv4)" : " (IPv6)");
}

}  // namespace margay::dataplane
