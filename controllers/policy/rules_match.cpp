#include "controllers/policy/rules_match.h"

#include <netinet/in.h>

#include <algorithm>
#include <utility>

namespace margay::controllers {
namespace {

using dataplane::End;
using dataplane::Match;
using dataplane::Sense;

constexpr std::size_t kPortSlots = 15;  // of xt_multiport
constexpr std::uint8_t kDccp = 33;

bool hasPorts(std::optional<std::uint8_t> protocol) {
  return protocol &&
         (*protocol == IPPROTO_TCP || *protocol == IPPROTO_UDP || *protocol == IPPROTO_SCTP ||
          *protocol == IPPROTO_UDPLITE || *protocol == kDccp);
}

/// Those of the family, without those that another one contains.
std::vector<Prefix> netsOf(const std::vector<Prefix>& nets, Family family) {
  std::vector<Prefix> kept;
  for (const Prefix& raw : nets) {
    const Prefix net = raw.masked();
    if (net.family() != family) continue;
    const auto contains = [&](const Prefix& other) { return other.contains(net); };
    if (std::any_of(kept.begin(), kept.end(), contains)) continue;
    std::erase_if(kept, [&](const Prefix& other) { return net.contains(other); });
    kept.push_back(net);
  }
  return kept;
}

bool isEverything(const Prefix& net) {
  return net.length == 0;
}

/// Ranges sorted and joined, in portions that one match can hold.
std::vector<std::vector<dataplane::PortRange>> portPortions(
    const std::vector<api::PortRange>& ports) {
  std::vector<dataplane::PortRange> joined;
  std::vector<api::PortRange> sorted = ports;
  std::sort(sorted.begin(), sorted.end());
  for (const api::PortRange& range : sorted) {
    if (!joined.empty() && range.first <= std::uint32_t{joined.back().last} + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back({range.first, range.last});
    }
  }
  std::vector<std::vector<dataplane::PortRange>> portions;
  std::size_t used = kPortSlots;
  for (const dataplane::PortRange& range : joined) {
    const std::size_t slots = range.first == range.last ? 1 : 2;
    if (used + slots > kPortSlots) {
      portions.emplace_back();
      used = 0;
    }
    portions.back().push_back(range);
    used += slots;
  }
  return portions;
}

Match setMatch(const SetId& id, End end, Family family, Sense sense) {
  const bool withPort = id.kind == SetKind::NamedPort || id.kind == SetKind::Service;
  return dataplane::SetMatch{setName(id, family), std::vector<End>(withPort ? 2 : 1, end), sense,
                             setType(id.kind)};
}

class Builder {
 public:
  Builder(const ResolvedRule& rule, Family family) : rule_(rule), family_(family) {}

  std::optional<RuleMatch> build() {
    if (rule_.ipVersion && *rule_.ipVersion != family_) return std::nullopt;
    if (!addProtocol()) return std::nullopt;
    if (!addNets(rule_.source, End::Source) || !addNets(rule_.destination, End::Destination))
      return std::nullopt;
    if (!addIcmp(rule_.icmp, Sense::Is) || !addIcmp(rule_.notIcmp, Sense::IsNot))
      return std::nullopt;
    if (!addPorts(rule_.source, End::Source) || !addPorts(rule_.destination, End::Destination))
      return std::nullopt;
    addSets(rule_.source, End::Source);
    addSets(rule_.destination, End::Destination);
    return std::move(match_);
  }

 private:
  /// A kernel rule has room for one protocol.
  bool addProtocol() {
    if (rule_.protocol) {
      if (rule_.protocol == rule_.notProtocol) return false;
      match_.guard.emplace_back(dataplane::ProtocolMatch{*rule_.protocol, Sense::Is});
    } else if (rule_.notProtocol) {
      match_.guard.emplace_back(dataplane::ProtocolMatch{*rule_.notProtocol, Sense::IsNot});
    }
    return true;
  }

  /// A kernel rule has room for one net an end, negated or not.
  bool addNets(const ResolvedEnd& end, End which) {
    const std::vector<Prefix> nets = netsOf(end.nets, family_);
    const std::vector<Prefix> notNets = netsOf(end.notNets, family_);
    if (nets.empty() && !end.nets.empty()) return false;
    if (notNets.empty() && !end.notNets.empty()) return false;
    if (std::any_of(notNets.begin(), notNets.end(), isEverything)) return false;

    bool full = false;
    if (nets.size() > 1) {
      auto& choice = match_.choices.emplace_back();
      for (const Prefix& net : nets) choice.push_back({dataplane::NetMatch{which, net, Sense::Is}});
    } else if (nets.size() == 1 && !isEverything(nets.front())) {
      match_.guard.emplace_back(dataplane::NetMatch{which, nets.front(), Sense::Is});
      full = true;
    }
    if (notNets.size() == 1 && !full && nets.size() <= 1) {
      match_.guard.emplace_back(dataplane::NetMatch{which, notNets.front(), Sense::IsNot});
      return true;
    }
    for (const Prefix& net : notNets) match_.excluded.push_back({which, net, Sense::Is});
    return true;
  }

  bool addIcmp(const std::optional<api::IcmpFields>& fields, Sense sense) {
    if (!fields || !fields->type) return true;
    const int icmp = family_ == Family::V4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    if (rule_.protocol != icmp) return false;
    match_.guard.emplace_back(dataplane::IcmpMatch{*fields->type, fields->code, sense});
    return true;
  }

  bool addPorts(const ResolvedEnd& end, End which) {
    if ((!end.ports.empty() || !end.notPorts.empty()) && !hasPorts(rule_.protocol)) return false;
    const auto portions = portPortions(end.ports);
    const bool single = portions.size() + end.namedPorts.size() == 1;
    std::vector<std::vector<Match>> alternatives;
    for (const auto& ports : portions) {
      std::vector<Match> alternative;
      // The ports of a packet have a meaning only beside its protocol, in the same kernel rule.
      if (!single) alternative.emplace_back(dataplane::ProtocolMatch{*rule_.protocol, Sense::Is});
      alternative.emplace_back(dataplane::PortsMatch{which, ports, Sense::Is});
      alternatives.push_back(std::move(alternative));
    }
    for (const SetId& id : end.namedPorts)
      alternatives.push_back({setMatch(id, which, family_, Sense::Is)});
    if (single) {
      match_.guard.push_back(std::move(alternatives.front().front()));
    } else if (!alternatives.empty()) {
      match_.choices.push_back(std::move(alternatives));
    }
    for (const auto& ports : portPortions(end.notPorts)) {
      match_.guard.emplace_back(dataplane::PortsMatch{which, ports, Sense::IsNot});
    }
    return true;
  }

  void addSets(const ResolvedEnd& end, End which) {
    for (const SetId& id : end.sets)
      match_.guard.push_back(setMatch(id, which, family_, Sense::Is));
    for (const SetId& id : end.portSets)
      match_.guard.push_back(setMatch(id, which, family_, Sense::Is));
    for (const SetId& id : end.notSets)
      match_.guard.push_back(setMatch(id, which, family_, Sense::IsNot));
    for (const SetId& id : end.notNamedPorts)
      match_.guard.push_back(setMatch(id, which, family_, Sense::IsNot));
  }

  const ResolvedRule& rule_;
  Family family_;
  RuleMatch match_;
};

}  // namespace

std::optional<RuleMatch> ruleMatch(const ResolvedRule& rule, Family family) {
  return Builder(rule, family).build();
}

}  // namespace margay::controllers
