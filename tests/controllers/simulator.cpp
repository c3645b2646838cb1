#include "tests/controllers/simulator.h"

#include <netinet/in.h>

#include <algorithm>
#include <type_traits>

namespace margay::sim {
namespace {

using namespace dataplane;

bool protocolHasPorts(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

class Machine {
 public:
  Machine(const RuleTable& table, const Sets& sets, const Packet& packet)
      : table_(table), sets_(sets), packet_(packet) {
    out_.mark = packet.mark;
  }

  /// False: the list came to its end, or returned.
  bool runRules(const std::vector<Rule>& rules) {
    for (const Rule& rule : rules) {
      if (!std::all_of(rule.matches.begin(), rule.matches.end(),
                       [&](const Match& m) { return holds(m); }))
        continue;
      if (const auto* jump = std::get_if<Jump>(&rule.action)) {
        if (runRules(*table_.chains.at(jump->chain))) return true;
      } else if (const auto* go = std::get_if<GoTo>(&rule.action)) {
        return runRules(*table_.chains.at(go->chain));
      } else if (const auto* look = std::get_if<LookUpChain>(&rule.action)) {
        if (const auto chain = chainOf(*look)) {
          out_.mark &= ~look->clear;
          return runRules(*table_.chains.at(*chain));
        }
      } else if (std::holds_alternative<Return>(rule.action)) {
        return false;
      } else if (const auto* set = std::get_if<SetMark>(&rule.action)) {
        out_.mark = (out_.mark & ~set->mask) | set->value;
      } else if (const auto* log = std::get_if<LogPacket>(&rule.action)) {
        out_.logs.push_back(log->prefix);
      } else if (!std::holds_alternative<NoTrack>(rule.action)) {
        out_.verdict = std::holds_alternative<Accept>(rule.action)   ? Verdict::Accept
                       : std::holds_alternative<Drop>(rule.action)   ? Verdict::Drop
                       : std::holds_alternative<Reject>(rule.action) ? Verdict::Reject
                                                                     : Verdict::Translate;
        return true;
      }
    }
    return false;
  }
  Outcome out_;

 private:
  [[nodiscard]] const Address& address(End end) const {
    return end == End::Source ? packet_.source : packet_.destination;
  }
  [[nodiscard]] std::uint16_t port(End end) const {
    return end == End::Source ? packet_.sourcePort : packet_.destinationPort;
  }
  [[nodiscard]] const IfName& device(End end) const {
    return end == End::Source ? packet_.in : packet_.out;
  }

  [[nodiscard]] std::optional<ChainName> chainOf(const LookUpChain& look) const {
    for (const SetMember& member : sets_.at(look.map)) {
      if (member.net != Prefix::host(address(look.end)) || member.device.view() != device(look.end))
        continue;
      for (const auto& [number, chain] : look.chains) {
        if (numberText(number) == member.target.view()) return chain;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] bool holds(const Match& match) const {
    return std::visit(
        [&](const auto& m) {
          if constexpr (std::is_same_v<std::decay_t<decltype(m)>, RateLimitMatch>) {
            return true;
          } else {
            return is(m) == (m.sense == Sense::Is);
          }
        },
        match);
  }
  [[nodiscard]] bool is(const InterfaceMatch& m) const {
    const IfName& name = m.side == Side::In ? packet_.in : packet_.out;
    return m.how == NameMatch::Exact ? name == m.name : name.starts_with(m.name);
  }
  [[nodiscard]] bool is(const NetMatch& m) const { return m.net.contains(address(m.end)); }
  [[nodiscard]] bool is(const ProtocolMatch& m) const { return packet_.protocol == m.number; }
  [[nodiscard]] bool is(const PortsMatch& m) const {
    return std::any_of(m.ports.begin(), m.ports.end(), [&](const PortRange& range) {
      return range.first <= port(m.end) && port(m.end) <= range.last;
    });
  }
  [[nodiscard]] bool is(const IcmpMatch& m) const {
    return packet_.icmpType == m.type && (!m.code || *m.code == packet_.icmpCode);
  }
  [[nodiscard]] bool is(const SetMatch& m) const {
    const auto& members = sets_.at(m.set);
    return std::any_of(members.begin(), members.end(), [&](const SetMember& member) {
      if (!member.net.contains(address(m.dimensions[0]))) return false;
      if (m.dimensions.size() == 1) return true;
      if (!member.device.empty()) return member.device.view() == device(m.dimensions[1]);
      return protocolHasPorts(packet_.protocol) && member.protocol == packet_.protocol &&
             member.port == port(m.dimensions[1]);
    });
  }
  [[nodiscard]] bool is(const MarkMatch& m) const { return (out_.mark & m.mask) == m.value; }
  [[nodiscard]] bool is(const ConntrackMatch& m) const {
    switch (packet_.state) {
      case State::New:
        return m.isNew;
      case State::Established:
        return m.established;
      case State::Related:
        return m.related;
      case State::Invalid:
        return m.invalid;
      case State::Untracked:
        return m.untracked;
    }
    return false;
  }

  const RuleTable& table_;
  const Sets& sets_;
  const Packet& packet_;
};

template <class T>
std::size_t count(const Rule& rule) {
  return static_cast<std::size_t>(
      std::count_if(rule.matches.begin(), rule.matches.end(),
                    [](const Match& m) { return std::holds_alternative<T>(m); }));
}

void checkRule(const RuleTable& table, const Rule& rule, const std::string& where,
               std::vector<std::string>& faults) {
  const auto fault = [&](const std::string& what) { faults.push_back(where + ": " + what); };
  std::optional<std::uint8_t> protocol;
  for (const Match& match : rule.matches) {
    if (const auto* m = std::get_if<ProtocolMatch>(&match); m != nullptr && m->sense == Sense::Is)
      protocol = m->number;
  }
  if (count<ProtocolMatch>(rule) > 1) fault("two protocols");
  std::size_t nets[2] = {};
  std::size_t interfaces[2] = {};
  for (const Match& match : rule.matches) {
    if (const auto* m = std::get_if<NetMatch>(&match)) ++nets[m->end == End::Source ? 0 : 1];
    if (const auto* m = std::get_if<InterfaceMatch>(&match))
      ++interfaces[m->side == Side::In ? 0 : 1];
    if (const auto* m = std::get_if<PortsMatch>(&match)) {
      std::size_t slots = 0;
      for (const PortRange& range : m->ports) slots += range.first == range.last ? 1 : 2;
      if (slots == 0 || slots > 15) fault(std::to_string(slots) + " port slots");
      if (!protocol || !protocolHasPorts(*protocol)) fault("ports without their protocol");
    }
    if (std::holds_alternative<IcmpMatch>(match) && protocol != IPPROTO_ICMP &&
        protocol != IPPROTO_ICMPV6)
      fault("ICMP type without protocol");
    if (const auto* m = std::get_if<SetMatch>(&match); m != nullptr && m->set.size() > 31)
      fault("set name " + m->set);
  }
  if (nets[0] > 1 || nets[1] > 1) fault("two nets of one end");
  if (interfaces[0] > 1 || interfaces[1] > 1) fault("two interfaces of one side");
  if (rule.comment.size() > 255) fault("comment too long");
  if (const auto* log = std::get_if<LogPacket>(&rule.action);
      log != nullptr && log->prefix.size() > 29)
    fault("log prefix too long");
  const auto target = [&](const ChainName& chain) {
    if (!table.chains.contains(chain)) fault("no chain " + chain);
  };
  if (const auto* jump = std::get_if<Jump>(&rule.action)) target(jump->chain);
  if (const auto* go = std::get_if<GoTo>(&rule.action)) target(go->chain);
}

std::string ends(const std::vector<End>& dimensions) {
  std::string out;
  for (const End end : dimensions)
    out += (out.empty() ? "" : ",") + std::string(end == End::Source ? "src" : "dst");
  return out;
}
std::string hex(std::uint32_t value) {
  char buffer[11];
  std::snprintf(buffer, sizeof buffer, "0x%x", value);
  return buffer;
}
std::string rangeText(const PortRange& range) {
  return std::to_string(range.first) +
         (range.first == range.last ? "" : ":" + std::to_string(range.last));
}

struct MatchText {
  std::string operator()(const InterfaceMatch& m) const {
    return (m.side == Side::In ? "-i " : "-o ") + m.name + (m.how == NameMatch::Prefix ? "+" : "");
  }
  std::string operator()(const NetMatch& m) const {
    return (m.end == End::Source ? "-s " : "-d ") + m.net.str();
  }
  std::string operator()(const ProtocolMatch& m) const { return "-p " + std::to_string(m.number); }
  std::string operator()(const PortsMatch& m) const {
    std::string list;
    for (const PortRange& range : m.ports) list += (list.empty() ? "" : ",") + rangeText(range);
    return (m.end == End::Source ? "--sports " : "--dports ") + list;
  }
  std::string operator()(const IcmpMatch& m) const {
    return "--icmp-type " + std::to_string(m.type) + (m.code ? "/" + std::to_string(*m.code) : "");
  }
  std::string operator()(const SetMatch& m) const {
    return "--match-set " + m.set + " " + ends(m.dimensions);
  }
  std::string operator()(const MarkMatch& m) const {
    return "--mark " + hex(m.value) + "/" + hex(m.mask);
  }
  std::string operator()(const ConntrackMatch& m) const {
    std::string list;
    const auto add = [&](bool on, const char* name) {
      if (on) list += (list.empty() ? "" : ",") + std::string(name);
    };
    add(m.isNew, "NEW");
    add(m.established, "ESTABLISHED");
    add(m.related, "RELATED");
    add(m.invalid, "INVALID");
    add(m.untracked, "UNTRACKED");
    add(m.dnat, "DNAT");
    return "--ctstate " + list;
  }
  std::string operator()(const RateLimitMatch& m) const {
    return "--limit " + std::to_string(m.rate) + " --limit-burst " + std::to_string(m.burst);
  }
};

struct ActionText {
  std::string operator()(const Accept&) const { return "-j ACCEPT"; }
  std::string operator()(const Drop&) const { return "-j DROP"; }
  std::string operator()(const Reject&) const { return "-j REJECT"; }
  std::string operator()(const Return&) const { return "-j RETURN"; }
  std::string operator()(const NoTrack&) const { return "-j NOTRACK"; }
  std::string operator()(const Jump& a) const { return "-j " + a.chain; }
  std::string operator()(const GoTo& a) const { return "-g " + a.chain; }
  std::string operator()(const SetMark& a) const {
    return "-j MARK " + hex(a.value) + "/" + hex(a.mask);
  }
  std::string operator()(const LogPacket& a) const { return "-j LOG \"" + a.prefix + "\""; }
  std::string operator()(const Masquerade& a) const {
    return "-j MASQUERADE" + ports(a.toPorts) + (a.fullyRandom ? " --random-fully" : "");
  }
  std::string operator()(const SourceNat& a) const {
    return "-j SNAT " + a.to.str() + ports(a.toPorts) + (a.fullyRandom ? " --random-fully" : "");
  }
  std::string operator()(const LookUpChain& a) const {
    return "-j VMAP " + a.map + " " + ends({a.end, a.end});
  }
  static std::string ports(const std::optional<PortRange>& range) {
    return range ? " ports " + rangeText(*range) : "";
  }
};

std::string lineOf(const Rule& rule) {
  std::string line;
  for (const Match& match : rule.matches) {
    const bool negated = std::visit(
        [](const auto& m) {
          if constexpr (std::is_same_v<std::decay_t<decltype(m)>, RateLimitMatch>) {
            return false;
          } else {
            return m.sense == Sense::IsNot;
          }
        },
        match);
    line += (negated ? "! " : "") + std::visit(MatchText{}, match) + ' ';
  }
  line += std::visit(ActionText{}, rule.action);
  if (!rule.comment.empty()) line += "  # " + rule.comment;
  return line + '\n';
}

}  // namespace

Outcome run(const RuleTable& table, const Sets& sets, BaseChain base, const Packet& packet) {
  Machine machine(table, sets, packet);
  std::vector<Rule> rules;
  for (const Position position : {Position::First, Position::Last}) {
    for (const HookRule& hook : table.hooks) {
      if (hook.chain == base && hook.position == position) rules.push_back(hook.rule);
    }
  }
  machine.runRules(rules);
  return machine.out_;
}

std::vector<std::string> faults(const RuleTable& table) {
  std::vector<std::string> out;
  for (const auto& [name, rules] : table.chains) {
    if (name.size() > 28 || !name.starts_with(kChainPrefix)) out.push_back("chain name " + name);
    for (const Rule& rule : *rules) checkRule(table, rule, name, out);
  }
  for (const HookRule& hook : table.hooks) {
    checkRule(table, hook.rule, std::string("hook ") + hook.rule.comment, out);
    if (!hook.rule.comment.starts_with(kHookCommentPrefix))
      out.push_back("hook comment " + hook.rule.comment);
  }
  return out;
}

std::string text(const RuleTable& table) {
  static constexpr const char* kBase[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                          "POSTROUTING"};
  std::string out;
  for (const HookRule& hook : table.hooks) {
    out += std::string(kBase[static_cast<int>(hook.chain)]) +
           (hook.position == Position::First ? " first: " : " last: ") + lineOf(hook.rule);
  }
  for (const auto& [name, rules] : table.chains) {
    for (const Rule& rule : *rules) out += name + ": " + lineOf(rule);
  }
  return out;
}

}  // namespace margay::sim
