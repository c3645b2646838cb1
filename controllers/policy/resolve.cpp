#include "controllers/policy/resolve.h"

#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "api/selector/effective.h"
#include "base/hash.h"

namespace margay::controllers {
namespace {

/// Named ports of endpoints have a protocol; a rule without one means TCP.
std::uint8_t namedPortProtocol(const api::PolicyRule& rule) {
  const auto protocol = rule.protocol.value_or(IPPROTO_TCP);
  return protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ? protocol : std::uint8_t{IPPROTO_TCP};
}

class Resolver {
 public:
  explicit Resolver(std::string_view ns) : ns_(ns) {}

  [[nodiscard]] ResolvedRule rule(const api::PolicyRule& from) {
    ResolvedRule out;
    out.action = from.action;
    out.ipVersion = from.ipVersion;
    out.protocol = from.protocol;
    out.notProtocol = from.notProtocol;
    out.icmp = from.icmp;
    out.notIcmp = from.notIcmp;
    out.source = end(from.source, namedPortProtocol(from));
    if (from.source.services)
      out.source.sets.push_back(service(SetKind::ServiceNoPort, *from.source.services));
    out.destination = end(from.destination, namedPortProtocol(from));
    if (from.destination.services)
      out.destination.portSets.push_back(service(SetKind::Service, *from.destination.services));
    return out;
  }

  [[nodiscard]] std::vector<SetNeed> takeSets() {
    const auto less = [](const SetNeed& a, const SetNeed& b) { return a.id < b.id; };
    const auto same = [](const SetNeed& a, const SetNeed& b) { return a.id == b.id; };
    std::sort(sets_.begin(), sets_.end(), less);
    sets_.erase(std::unique(sets_.begin(), sets_.end(), same), sets_.end());
    return std::move(sets_);
  }

 private:
  ResolvedEnd end(const api::EntityRule& from, std::uint8_t protocol) {
    ResolvedEnd out;
    out.nets = from.nets;
    out.notNets = from.notNets;
    const auto selectors = api::ruleSelectors(from, ns_);
    // Negated ports too are restricted by the positive selector: without it the rule cannot match.
    const auto portOwners = selectors.positive.value_or(api::Selector());
    for (const auto& port : from.ports)
      addPort(port, out.ports, out.namedPorts, {portOwners, protocol});
    for (const auto& port : from.notPorts)
      addPort(port, out.notPorts, out.notNamedPorts, {portOwners, protocol});
    const bool coveredByPorts = out.ports.empty() && !out.namedPorts.empty();
    if (selectors.positive && !coveredByPorts) out.sets.push_back(selectorSet(*selectors.positive));
    if (selectors.negative) out.notSets.push_back(selectorSet(*selectors.negative));
    return out;
  }

  struct PortOwners {
    api::Selector selector;
    std::uint8_t protocol;
  };
  void addPort(const api::Port& port, std::vector<api::PortRange>& ranges,
               std::vector<SetId>& named, const PortOwners& owners) {
    if (port.name.empty()) {
      ranges.push_back(port.range);
      return;
    }
    SetId id{.kind = SetKind::NamedPort,
             .selector = owners.selector.canonical(),
             .protocol = owners.protocol,
             .portName = port.name};
    sets_.push_back({id, owners.selector});
    named.push_back(std::move(id));
  }

  SetId selectorSet(const api::Selector& selector) {
    SetId id{.kind = SetKind::Selector, .selector = selector.canonical()};
    sets_.push_back({id, selector});
    return id;
  }
  SetId service(SetKind kind, const api::ServiceRef& of) {
    SetId id{.kind = kind, .service = of};
    sets_.push_back({id, {}});
    return id;
  }

  std::string_view ns_;
  std::vector<SetNeed> sets_;
};

/// Text in which every part has its length or its end, so that no two contents have the same text.
class Text {
 public:
  Text& add(std::string_view text) {
    out_ += std::to_string(text.size()) + ':';
    out_ += text;
    return *this;
  }
  Text& add(std::size_t number) {
    out_ += std::to_string(number) + ',';
    return *this;
  }
  template <class T>
  Text& add(const std::optional<T>& value) {
    if (!value) {
      out_ += '-';
      return *this;
    }
    return add(*value);
  }
  Text& add(std::uint8_t number) { return add(std::size_t{number}); }
  Text& add(Family family) { return add(static_cast<std::size_t>(family)); }
  Text& add(const api::IcmpFields& icmp) { return add(icmp.type).add(icmp.code); }
  Text& add(const Prefix& prefix) { return add(std::string_view(prefix.str())); }
  Text& add(const api::PortRange& range) {
    return add(std::size_t{range.first}).add(std::size_t{range.last});
  }
  Text& add(const SetId& id) {
    return add(static_cast<std::size_t>(id.kind))
        .add(std::string_view(id.selector))
        .add(id.protocol)
        .add(std::string_view(id.portName))
        .add(std::string_view(id.service.ns))
        .add(std::string_view(id.service.name));
  }
  template <class T>
  Text& add(const std::vector<T>& list) {
    add(list.size());
    for (const auto& value : list) add(value);
    return *this;
  }
  Text& add(const ResolvedEnd& end) {
    return add(end.nets)
        .add(end.notNets)
        .add(end.sets)
        .add(end.notSets)
        .add(end.portSets)
        .add(end.ports)
        .add(end.namedPorts)
        .add(end.notPorts)
        .add(end.notNamedPorts);
  }
  Text& add(const ResolvedRule& rule) {
    return add(static_cast<std::size_t>(rule.action))
        .add(rule.ipVersion)
        .add(rule.protocol)
        .add(rule.notProtocol)
        .add(rule.icmp)
        .add(rule.notIcmp)
        .add(rule.source)
        .add(rule.destination);
  }
  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  std::string out_;
};

}  // namespace

ResolvedRules resolveRules(const std::vector<api::PolicyRule>& rules, std::string_view ns) {
  Resolver resolver(ns);
  ResolvedRules out;
  out.rules.reserve(rules.size());
  for (const auto& rule : rules) out.rules.push_back(resolver.rule(rule));
  out.sets = resolver.takeSets();
  return out;
}

std::string ruleListHash(std::string_view label, std::string_view tier,
                         const std::vector<ResolvedRule>& rules) {
  Text text;
  text.add(label).add(tier).add(rules);
  return contentHash(text.str(), 16);
}

}  // namespace margay::controllers
