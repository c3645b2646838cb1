#include "api/codec/calico_rule.h"

#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "api/codec/calico_fields.h"
#include "api/codec/calico_metadata.h"
#include "api/codec/validate_names.h"

namespace margay::api {
namespace {

std::optional<IcmpFields> readIcmp(const JsonReader& rule, std::string_view key) {
  const auto reader = rule.object(key);
  if (!reader) return std::nullopt;
  reader->onlyFields({"type", "code"});
  IcmpFields icmp;
  if (const auto type = reader->integer("type", 0, 254))
    icmp.type = static_cast<std::uint8_t>(*type);
  if (const auto code = reader->integer("code", 0, 255))
    icmp.code = static_cast<std::uint8_t>(*code);
  if (icmp.code && !reader->has("type")) {
    reader->error("code", "ICMP code specified without an ICMP type; add the type");
  }
  if (!icmp.type) return std::nullopt;
  return icmp;
}

std::optional<ServiceRef> readService(const JsonReader& end, const RuleContext& context) {
  const auto reader = end.object("services");
  if (!reader) return std::nullopt;
  reader->onlyFields({"name", "namespace"});
  ServiceRef service{.ns = readName(*reader, "namespace"), .name = readName(*reader, "name")};
  if (service.name.empty()) reader->error("name", "must specify a service name");
  if (service.ns.empty()) {
    service.ns = context.ns;
    if (context.owner == RuleOwner::GlobalNetworkPolicy) {
      reader->error("namespace", "must specify a namespace: a global policy has none of its own");
    }
  }
  return service;
}

/// A rule that matches the addresses of a service leaves nothing else to say about them.
void checkService(const JsonReader& end, const EntityRule& rule) {
  const auto refuse = [&](std::string_view what) {
    end.error("services", "cannot specify " + std::string(what) +
                              " and services on the same rule; use two rules");
  };
  if (!rule.namespaceSelector.empty()) refuse("namespaceSelector");
  if (!rule.selector.empty() || !rule.notSelector.empty()) refuse("selector/notSelector");
  if (end.has("serviceAccounts")) refuse("serviceAccounts");
  if (!rule.nets.empty() || !rule.notNets.empty()) refuse("nets/notNets");
}

void readServiceAccounts(const JsonReader& end, EntityRule& rule) {
  const auto reader = end.object("serviceAccounts");
  if (!reader) return;
  reader->onlyFields({"names", "selector"});
  rule.serviceAccountNames = reader->strings("names");
  for (std::size_t i = 0; i < rule.serviceAccountNames.size(); ++i) {
    if (auto problem = nameProblem(rule.serviceAccountNames[i]))
      reader->error("names", i, std::move(*problem));
  }
  rule.serviceAccountSelector = readPlainSelector(*reader, "selector");
}

std::vector<Prefix> readRuleNets(const JsonReader& end, std::string_view key) {
  std::vector<Prefix> nets = readNets(end, key, NetForm::Cidr);
  if (nets.size() > kMaxNets) {
    end.error(key, "has " + std::to_string(nets.size()) +
                       " entries; at most 256 are allowed, use a NetworkSet");
  }
  return nets;
}

EntityRule readEnd(const JsonReader& rule, std::string_view key, const RuleContext& context) {
  const auto reader = rule.object(key);
  EntityRule end;
  if (!reader) return end;
  reader->onlyFields({"nets", "notNets", "selector", "notSelector", "namespaceSelector", "services",
                      "ports", "notPorts", "serviceAccounts"});
  end.nets = readRuleNets(*reader, "nets");
  end.notNets = readRuleNets(*reader, "notNets");
  for (const Prefix& net : end.notNets) {
    if (net.length == 0)
      reader->error("notNets",
                    net.str() + " excludes everything, so the rule matches nothing; remove it");
  }
  end.selector = readSelector(*reader, "selector");
  end.notSelector = readPlainSelector(*reader, "notSelector");
  end.namespaceSelector = readSelector(*reader, "namespaceSelector", GlobalSelector::Alone);
  readServiceAccounts(*reader, end);
  end.ports = readPorts(*reader, "ports");
  end.notPorts = readPorts(*reader, "notPorts");
  end.services = readService(*reader, context);
  if (end.services) checkService(*reader, end);
  return end;
}

void checkPorts(const JsonReader& reader, const PolicyRule& rule) {
  const auto refuse = [&](std::string_view end, std::string_view key) {
    reader.error(std::string(end) + "." + std::string(key),
                 "rules that specify ports must set protocol to TCP or UDP or SCTP");
  };
  if (reader.has("protocol") && !rule.protocol) return;  // reported already
  if (rule.protocol && hasPorts(*rule.protocol)) return;
  if (!rule.source.ports.empty()) refuse("source", "ports");
  if (!rule.source.notPorts.empty()) refuse("source", "notPorts");
  if (!rule.destination.ports.empty()) refuse("destination", "ports");
  if (!rule.destination.notPorts.empty()) refuse("destination", "notPorts");
}

void checkIcmp(const JsonReader& reader, const PolicyRule& rule) {
  const auto isIcmp = [](const std::optional<std::uint8_t>& protocol) {
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
  };
  if (reader.has("icmp") && !isIcmp(rule.protocol)) {
    reader.error("icmp", "rules that specify ICMP fields must set protocol to ICMP or ICMPv6");
  }
  for (const auto& protocol : {rule.protocol, rule.notProtocol}) {
    if (!rule.ipVersion || !isIcmp(protocol)) continue;
    const Family needed = protocol == IPPROTO_ICMP ? Family::V4 : Family::V6;
    if (*rule.ipVersion == needed) continue;
    reader.error("ipVersion", needed == Family::V4
                                  ? "must set ipVersion to 4 with protocol ICMP"
                                  : "must set ipVersion to 6 with protocol ICMPv6");
  }
}

/// A packet has one family, so nets of two can never match together.
void checkFamilies(const JsonReader& reader, const PolicyRule& rule) {
  std::optional<Family> seen;
  const std::pair<std::string_view, const std::vector<Prefix>*> lists[] = {
      {"source.nets", &rule.source.nets},
      {"source.notNets", &rule.source.notNets},
      {"destination.nets", &rule.destination.nets},
      {"destination.notNets", &rule.destination.notNets}};
  for (const auto& [field, nets] : lists) {
    const auto has = [list = nets](Family family) {
      return std::any_of(list->begin(), list->end(),
                         [&](const Prefix& net) { return net.family() == family; });
    };
    for (const Family family : {Family::V4, Family::V6}) {
      if (!has(family)) continue;
      if (rule.ipVersion && *rule.ipVersion != family) {
        reader.error(field,
                     "rule IP version doesn't match CIDR version; change ipVersion or the net");
      }
      if (seen && *seen != family) {
        reader.error(field, "rule contains both IPv4 and IPv6 CIDRs; use one rule for each");
      }
      seen = seen.value_or(family);
    }
  }
}

void checkServiceEnds(const JsonReader& reader, const PolicyRule& rule,
                      const RuleContext& context) {
  if (rule.destination.services &&
      (!rule.destination.ports.empty() || !rule.destination.notPorts.empty())) {
    reader.error("destination.ports",
                 "ports and notPorts cannot be specified with services: the ports of the service's "
                 "endpoints count");
  }
  if (context.owner == RuleOwner::Profile) return;
  if (context.direction == PolicyDirection::Ingress && rule.destination.services) {
    reader.error("destination.services",
                 "not allowed in ingress rule destination; only in the source");
  }
  if (context.direction == PolicyDirection::Egress && rule.source.services) {
    reader.error("source.services", "not allowed in egress rule source; only in the destination");
  }
}

RuleAction readAction(const JsonReader& reader) {
  const std::size_t before = reader.errorCount();
  const std::string text = readChoice(reader, "action", {"Allow", "Deny", "Log", "Pass"}, "");
  if (text.empty() && reader.errorCount() == before)
    reader.error("action", "is missing; use Allow, Deny, Log or Pass");
  if (text == "Allow") return RuleAction::Allow;
  if (text == "Log") return RuleAction::Log;
  return text == "Pass" ? RuleAction::Pass : RuleAction::Deny;
}

PolicyRule readRule(const JsonReader& reader, const RuleContext& context) {
  reader.onlyFields({"action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP", "source",
                     "destination", "http", "metadata"});
  PolicyRule rule;
  rule.action = readAction(reader);
  if (const auto version = reader.integer("ipVersion", 4, 6)) {
    if (*version == 5) reader.error("ipVersion", "5 is no IP version; use 4 or 6");
    rule.ipVersion = *version == 4 ? Family::V4 : Family::V6;
  }
  rule.protocol = readProtocol(reader, "protocol");
  rule.notProtocol = readProtocol(reader, "notProtocol");
  rule.icmp = readIcmp(reader, "icmp");
  rule.notIcmp = readIcmp(reader, "notICMP");
  rule.source = readEnd(reader, "source", context);
  rule.destination = readEnd(reader, "destination", context);
  if (reader.has("http")) {
    reader.error(
        "http",
        "HTTP matches are not supported: packets alone cannot tell; remove the match or the rule");
  }
  if (const auto metadata = reader.object("metadata")) {
    metadata->onlyFields({"annotations"});
    checkAnnotations(*metadata);
    if (const auto annotations = metadata->object("annotations"))
      rule.name = annotations->stringOr(kRuleNameAnnotation, "");
  }
  checkPorts(reader, rule);
  checkIcmp(reader, rule);
  checkFamilies(reader, rule);
  checkServiceEnds(reader, rule, context);
  return rule;
}

}  // namespace

std::vector<PolicyRule> readRules(const JsonReader& spec, std::string_view key,
                                  const RuleContext& context) {
  const auto readers = spec.objects(key);
  if (readers.size() > kMaxRules) {
    spec.error(key, "has " + std::to_string(readers.size()) +
                        " rules; at most 1024 are allowed, split the policy");
  }
  std::vector<PolicyRule> rules;
  rules.reserve(readers.size());
  for (const JsonReader& reader : readers) rules.push_back(readRule(reader, context));
  return rules;
}

}  // namespace margay::api
