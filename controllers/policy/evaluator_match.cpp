#include "controllers/policy/evaluator_match.h"

#include <algorithm>
#include <span>

namespace margay::controllers {
namespace {

constexpr std::string_view kAllowAll = "projectcalico-default-allow";

bool anyContains(std::span<const Prefix> nets, const Address& address) {
  return std::any_of(nets.begin(), nets.end(),
                     [&](const Prefix& net) { return net.contains(address); });
}

Owners ownersOf(const Objects& objects, const Address& address) {
  Owners out;
  for (const auto& [key, value] : objects) {
    if (const auto* endpoint = std::get_if<Shared<api::WorkloadEndpoint>>(&value)) {
      if (!anyContains((*endpoint)->addresses, address)) continue;
      out.all.emplace_back(objects, **endpoint);
      out.endpoints.push_back(*endpoint);
      out.endpointLabels.push_back(out.all.back());
    } else if (const auto* set = std::get_if<Shared<api::NetworkSet>>(&value)) {
      if (anyContains((*set)->nets, address)) out.all.emplace_back(objects, **set);
    }
  }
  return out;
}

bool anyMatches(const std::vector<EndpointLabels>& owners, const api::Selector& selector) {
  return std::any_of(owners.begin(), owners.end(),
                     [&](const auto& labels) { return selector.matches(labels); });
}

}  // namespace

Shared<api::Profile> profileNamed(const Objects& objects, const std::string& name) {
  if (const auto found = objects.find({api::Kind::Profile, {}, name}); found != objects.end()) {
    return std::get<Shared<api::Profile>>(found->second);
  }
  if (name != kAllowAll) return nullptr;
  static const auto kBuiltIn =
      share(api::Profile{std::string(kAllowAll), {}, {api::PolicyRule{}}, {api::PolicyRule{}}});
  return kBuiltIn;
}

EndpointLabels::EndpointLabels(const Objects& objects, const api::WorkloadEndpoint& endpoint)
    : own_(endpoint.labels) {
  static const std::vector<std::string> kNone;
  for (const auto& name : endpoint.profiles ? *endpoint.profiles : kNone) {
    if (auto profile = profileNamed(objects, name)) profiles_.push_back(std::move(profile));
  }
}

EndpointLabels::EndpointLabels(const Objects& objects, const api::NetworkSet& set)
    : own_(set.labels) {
  if (set.ns.empty()) return;
  if (auto profile = profileNamed(objects, "kns." + set.ns.str()))
    profiles_.push_back(std::move(profile));
}

std::optional<std::string_view> EndpointLabels::get(std::string_view key) const {
  if (const auto value = own_.get(key)) return value;
  for (const auto& profile : profiles_) {
    if (const auto value = profile->labelsToApply.get(key)) return value;
  }
  return std::nullopt;
}

PacketView::PacketView(const Objects& objects, const Packet& packet)
    : objects_(objects),
      packet_(packet),
      source_(ownersOf(objects, packet.source)),
      destination_(ownersOf(objects, packet.destination)) {}

bool PacketView::matches(const api::PolicyRule& rule, std::string_view ns) const {
  if (rule.ipVersion && *rule.ipVersion != packet_.source.family()) return false;
  if (rule.protocol && *rule.protocol != packet_.protocol) return false;
  if (rule.notProtocol && *rule.notProtocol == packet_.protocol) return false;
  if (rule.icmp && !icmpMatches(*rule.icmp)) return false;
  if (rule.notIcmp && icmpMatches(*rule.notIcmp)) return false;
  return endMatches(rule, End::Source, ns) && endMatches(rule, End::Destination, ns);
}

bool PacketView::icmpMatches(const api::IcmpFields& fields) const {
  return (!fields.type || *fields.type == packet_.icmpType) &&
         (!fields.code || *fields.code == packet_.icmpCode);
}

bool PacketView::endMatches(const api::PolicyRule& rule, End end, std::string_view ns) const {
  const auto& fields = end == End::Source ? rule.source : rule.destination;
  const auto& address = end == End::Source ? packet_.source : packet_.destination;
  const auto& owners = end == End::Source ? source_ : destination_;
  if (!fields.nets.empty() && !anyContains(fields.nets, address)) return false;
  if (anyContains(fields.notNets, address)) return false;
  // As Felix renders it: a rule whose notNets are all of the other family does not apply to this
  // one.
  const auto ofFamily = [&](const Prefix& net) { return net.family() == address.family(); };
  if (!fields.notNets.empty() &&
      std::none_of(fields.notNets.begin(), fields.notNets.end(), ofFamily))
    return false;
  const auto selectors = api::ruleSelectors(fields, ns);
  if (selectors.positive && !anyMatches(owners.all, *selectors.positive)) return false;
  if (selectors.negative && anyMatches(owners.all, *selectors.negative)) return false;
  if (fields.services && !serviceMatches(*fields.services, end)) return false;
  const auto selected = [&](std::size_t i) {
    return !selectors.positive || selectors.positive->matches(owners.endpointLabels[i]);
  };
  if (!fields.ports.empty() && !portMatches(fields.ports, end, selected)) return false;
  return !portMatches(fields.notPorts, end, [](std::size_t) { return true; });
}

bool PacketView::portMatches(const std::vector<api::Port>& ports, End end,
                             const std::function<bool(std::size_t)>& ownerCounts) const {
  const auto number = end == End::Source ? packet_.sourcePort : packet_.destinationPort;
  const auto& owners = end == End::Source ? source_ : destination_;
  const auto hasNamed = [&](const std::string& name) {
    for (std::size_t i = 0; i < owners.endpoints.size(); ++i) {
      if (!ownerCounts(i) || !owners.endpoints[i]->ports) continue;
      const auto& own = *owners.endpoints[i]->ports;
      if (std::find(own.begin(), own.end(), api::EndpointPort{name, packet_.protocol, number}) !=
          own.end())
        return true;
    }
    return false;
  };
  return std::any_of(ports.begin(), ports.end(), [&](const api::Port& port) {
    if (!port.name.empty()) return hasNamed(port.name);
    return number >= port.range.first && number <= port.range.last;
  });
}

bool PacketView::serviceMatches(const api::ServiceRef& service, End end) const {
  const auto& address = end == End::Source ? packet_.source : packet_.destination;
  for (const auto& [key, value] : objects_) {
    const auto* held = std::get_if<Shared<api::EndpointSlice>>(&value);
    if (held == nullptr || (*held)->ns != std::string_view(service.ns) ||
        (*held)->service != service.name)
      continue;
    const auto& slice = **held;
    if (std::find(slice.addresses.begin(), slice.addresses.end(), address) == slice.addresses.end())
      continue;
    if (end == End::Source) return true;
    const bool portMatch =
        std::any_of(slice.ports.begin(), slice.ports.end(), [&](const api::ServicePort& port) {
          return port.protocol == packet_.protocol && port.port == packet_.destinationPort;
        });
    if (portMatch) return true;
  }
  return false;
}

}  // namespace margay::controllers
