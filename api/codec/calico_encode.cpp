#include "api/codec/calico_encode.h"

#include <yaml-cpp/emitter.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "api/codec/calico_rule.h"
#include "api/codec/document_scalar.h"

namespace margay::api {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kApiVersion = "projectcalico.org/v3";

OrderedJson protocolJson(std::uint8_t protocol) {
  switch (protocol) {
    case 1:
      return "ICMP";
    case 6:
      return "TCP";
    case 17:
      return "UDP";
    case 58:
      return "ICMPv6";
    case 132:
      return "SCTP";
    case 136:
      return "UDPLite";
    default:
      return protocol;
  }
}

const char* actionText(RuleAction action) {
  switch (action) {
    case RuleAction::Allow:
      return "Allow";
    case RuleAction::Deny:
      return "Deny";
    case RuleAction::Log:
      return "Log";
    case RuleAction::Pass:
      break;
  }
  return "Pass";
}

OrderedJson prefixesJson(std::span<const Prefix> prefixes) {
  OrderedJson out = OrderedJson::array();
  for (const Prefix& prefix : prefixes) out.push_back(prefix.str());
  return out;
}

OrderedJson portsJson(const std::vector<Port>& ports) {
  OrderedJson out = OrderedJson::array();
  for (const Port& port : ports) {
    if (!port.name.empty()) {
      out.push_back(port.name);
    } else if (port.range.first == port.range.last) {
      out.push_back(port.range.first);
    } else {
      out.push_back(std::to_string(port.range.first) + ":" + std::to_string(port.range.last));
    }
  }
  return out;
}

void setText(OrderedJson& object, const char* name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

OrderedJson icmpJson(const IcmpFields& icmp) {
  OrderedJson out = OrderedJson::object();
  if (icmp.type) out["type"] = *icmp.type;
  if (icmp.code) out["code"] = *icmp.code;
  return out;
}

OrderedJson endJson(const EntityRule& end) {
  OrderedJson out = OrderedJson::object();
  if (!end.nets.empty()) out["nets"] = prefixesJson(end.nets);
  if (!end.notNets.empty()) out["notNets"] = prefixesJson(end.notNets);
  setText(out, "selector", end.selector);
  setText(out, "notSelector", end.notSelector);
  setText(out, "namespaceSelector", end.namespaceSelector);
  if (!end.serviceAccountNames.empty() || !end.serviceAccountSelector.empty()) {
    OrderedJson accounts = OrderedJson::object();
    if (!end.serviceAccountNames.empty()) accounts["names"] = end.serviceAccountNames;
    setText(accounts, "selector", end.serviceAccountSelector);
    out["serviceAccounts"] = std::move(accounts);
  }
  if (end.services) {
    OrderedJson service = {{"name", end.services->name}};
    setText(service, "namespace", end.services->ns);
    out["services"] = std::move(service);
  }
  if (!end.ports.empty()) out["ports"] = portsJson(end.ports);
  if (!end.notPorts.empty()) out["notPorts"] = portsJson(end.notPorts);
  return out;
}

OrderedJson rulesJson(const std::vector<PolicyRule>& rules) {
  OrderedJson out = OrderedJson::array();
  for (const PolicyRule& rule : rules) {
    OrderedJson made = {{"action", actionText(rule.action)}};
    if (!rule.name.empty()) made["metadata"]["annotations"][kRuleNameAnnotation] = rule.name;
    if (rule.ipVersion) made["ipVersion"] = *rule.ipVersion == Family::V4 ? 4 : 6;
    if (rule.protocol) made["protocol"] = protocolJson(*rule.protocol);
    if (rule.notProtocol) made["notProtocol"] = protocolJson(*rule.notProtocol);
    if (rule.icmp) made["icmp"] = icmpJson(*rule.icmp);
    if (rule.notIcmp) made["notICMP"] = icmpJson(*rule.notIcmp);
    made["source"] = endJson(rule.source);
    made["destination"] = endJson(rule.destination);
    out.push_back(std::move(made));
  }
  return out;
}

OrderedJson objectJson(const char* kind, const std::string& name, std::string_view ns) {
  OrderedJson metadata = {{"name", name}};
  if (!ns.empty()) metadata["namespace"] = std::string(ns);
  return {{"apiVersion", kApiVersion},
          {"kind", kind},
          {"metadata", std::move(metadata)},
          {"spec", OrderedJson::object()}};
}

OrderedJson labelsJson(const Labels& labels) {
  OrderedJson out = OrderedJson::object();
  for (const auto& [key, value] : labels.pairs()) out[key] = value;
  return out;
}

/// Whole numbers without a fraction: 1000, not 1000.0.
OrderedJson numberJson(double number) {
  if (std::floor(number) == number && std::fabs(number) < 9e15)
    return static_cast<std::int64_t>(number);
  return number;
}

std::string macText(const std::array<std::uint8_t, 6>& mac) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                mac[3], mac[4], mac[5]);
  return text.data();
}

void emit(YAML::Emitter& out, const OrderedJson& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, child] : value.items()) {
      out << YAML::Key;
      emit(out, key);
      out << YAML::Value;
      emit(out, child);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const OrderedJson& child : value) emit(out, child);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    // Older readers take a single y or n for a boolean.
    const bool letter =
        text.size() == 1 && std::string_view("yYnN").find(text) != std::string_view::npos;
    if (letter || !plainScalar(text).is_string()) out << YAML::DoubleQuoted;
    out << text;
  } else {
    out << value.dump();
  }
}

}  // namespace

OrderedJson encodePolicy(const Policy& policy) {
  OrderedJson out = objectJson(policy.ns.empty() ? "GlobalNetworkPolicy" : "NetworkPolicy",
                               policy.name, policy.ns);
  OrderedJson& spec = out["spec"];
  spec["tier"] = policy.tier;
  if (policy.order) spec["order"] = numberJson(*policy.order);
  setText(spec, "selector", policy.selector);
  setText(spec, "namespaceSelector", policy.namespaceSelector);
  setText(spec, "serviceAccountSelector", policy.serviceAccountSelector);
  OrderedJson types = OrderedJson::array();
  if (policy.appliesToIngress) types.push_back("Ingress");
  if (policy.appliesToEgress) types.push_back("Egress");
  spec["types"] = std::move(types);
  if (policy.doNotTrack) spec["doNotTrack"] = true;
  if (policy.preDnat) spec["preDNAT"] = true;
  if (policy.applyOnForward) spec["applyOnForward"] = true;
  if (!policy.ingress.empty()) spec["ingress"] = rulesJson(policy.ingress);
  if (!policy.egress.empty()) spec["egress"] = rulesJson(policy.egress);
  return out;
}

OrderedJson encodeProfile(const Profile& profile) {
  OrderedJson out = objectJson("Profile", profile.name, {});
  OrderedJson& spec = out["spec"];
  if (!profile.labelsToApply.empty()) spec["labelsToApply"] = labelsJson(profile.labelsToApply);
  if (!profile.ingress.empty()) spec["ingress"] = rulesJson(profile.ingress);
  if (!profile.egress.empty()) spec["egress"] = rulesJson(profile.egress);
  return out;
}

OrderedJson encodeWorkloadEndpoint(const WorkloadEndpoint& endpoint) {
  OrderedJson out = objectJson("WorkloadEndpoint", endpoint.name.str(), endpoint.ns);
  if (!endpoint.labels.empty()) out["metadata"]["labels"] = labelsJson(endpoint.labels);
  OrderedJson& spec = out["spec"];
  const auto identity = endpoint.identity();
  const auto& details = endpoint.details();
  spec["orchestrator"] = identity.orchestrator;
  spec["node"] = endpoint.node.str();
  // Calico names the workload by the field of its orchestrator.
  spec[identity.orchestrator == "k8s"   ? "pod"
       : identity.orchestrator == "cni" ? "containerID"
                                        : "workload"] = identity.workload;
  spec["endpoint"] = identity.endpoint;
  spec["interfaceName"] = interfaceNameOf(endpoint, "cali");
  if (details.mac) spec["mac"] = macText(*details.mac);
  spec["ipNetworks"] = prefixesJson(endpoint.addresses);
  spec["profiles"] = endpoint.profiles ? OrderedJson(*endpoint.profiles) : OrderedJson::array();
  if (endpoint.ports && !endpoint.ports->empty()) {
    OrderedJson& ports = spec["ports"] = OrderedJson::array();
    for (const EndpointPort& port : *endpoint.ports) {
      ports.push_back(
          {{"name", port.name}, {"protocol", protocolJson(port.protocol)}, {"port", port.port}});
    }
  }
  if (!details.allowedSources.empty())
    spec["allowSpoofedSourcePrefixes"] = prefixesJson(details.allowedSources);
  return out;
}

std::optional<OrderedJson> encodeCalico(const Value& value) {
  if (const auto* policy = std::get_if<Shared<Policy>>(&value)) return encodePolicy(**policy);
  if (const auto* profile = std::get_if<Shared<Profile>>(&value)) return encodeProfile(**profile);
  if (const auto* endpoint = std::get_if<Shared<WorkloadEndpoint>>(&value)) {
    return encodeWorkloadEndpoint(**endpoint);
  }
  return std::nullopt;
}

std::string yamlText(const OrderedJson& document) {
  YAML::Emitter out;
  emit(out, document);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace margay::api
