#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "api/codec/json_reader.h"
#include "api/codec/kubernetes_decode.h"
#include "api/codec/validate_names.h"

/// NetworkPolicy as Calico converts it: one rule for each protocol (in the order of their names)
/// and peer.
namespace margay::api {
namespace {

using nlohmann::json;

constexpr double kOrder = 1000;
constexpr std::string_view kPodsOnly = "projectcalico.org/orchestrator == 'k8s'";

void addTerm(std::string& selector, const std::string& term) {
  if (!selector.empty()) selector += " && ";
  selector += term;
}

std::string quotedList(const std::vector<std::string>& values) {
  std::string out = "{ ";
  for (std::size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "'" : ", '") + values[i] + "'";
  return out + " }";
}

void addExpression(const JsonReader& expression, std::string& selector) {
  expression.onlyFields({"key", "operator", "values"});
  const std::string key = expression.stringOr("key", "");
  const std::string op = expression.stringOr("operator", "");
  const auto values = expression.strings("values");
  if (auto problem = qualifiedNameProblem(key)) expression.error("key", std::move(*problem));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (auto problem = labelValueProblem(values[i]))
      expression.error("values", i, std::move(*problem));
  }
  const bool wantsValues = op == "In" || op == "NotIn";
  if (!wantsValues && op != "Exists" && op != "DoesNotExist") {
    expression.error("operator", "must be In, NotIn, Exists or DoesNotExist");
  } else if (wantsValues == values.empty()) {
    expression.error("values",
                     wantsValues ? op + " needs at least one value" : op + " takes no values");
  }
  if (op == "In") addTerm(selector, key + " in " + quotedList(values));
  if (op == "NotIn") addTerm(selector, key + " not in " + quotedList(values));
  if (op == "Exists") addTerm(selector, "has(" + key + ")");
  if (op == "DoesNotExist") addTerm(selector, "! has(" + key + ")");
}

/// The terms of a label selector after `selector`.
std::string withTerms(std::string selector, const JsonReader& labels) {
  labels.onlyFields({"matchLabels", "matchExpressions"});
  for (const auto& [key, value] : labels.stringMap("matchLabels")) {
    if (auto problem = qualifiedNameProblem(key))
      labels.error("matchLabels", key + ": " + *problem);
    if (auto problem = labelValueProblem(value)) labels.error("matchLabels", key + ": " + *problem);
    addTerm(selector, key + " == '" + value + "'");
  }
  for (const JsonReader& expression : labels.objects("matchExpressions"))
    addExpression(expression, selector);
  return selector;
}

std::string podSelector(const std::optional<JsonReader>& labels) {
  return labels ? withTerms(std::string(kPodsOnly), *labels) : std::string(kPodsOnly);
}

std::string namespaceSelector(const std::optional<JsonReader>& labels) {
  if (!labels) return {};
  std::string selector = withTerms({}, *labels);
  return selector.empty() ? "all()" : selector;
}

std::optional<Prefix> readCidr(const std::string& text) {
  return text.find('/') == std::string::npos ? std::nullopt : Prefix::parseNetwork(text);
}

void readIpBlock(const JsonReader& block, EntityRule& peer) {
  block.onlyFields({"cidr", "except"});
  const std::string text = block.stringOr("cidr", "");
  const auto cidr = readCidr(text);
  if (!cidr) {
    block.error("cidr", "\"" + text + "\" is no CIDR");
    return;
  }
  peer.nets.push_back(*cidr);
  const auto except = block.strings("except");
  for (std::size_t i = 0; i < except.size(); ++i) {
    const auto hole = readCidr(except[i]);
    if (hole) {
      peer.notNets.push_back(*hole);
    } else {
      block.error("except", i, "\"" + except[i] + "\" is no CIDR");
    }
  }
}

EntityRule readPeer(const JsonReader& reader) {
  reader.onlyFields({"podSelector", "namespaceSelector", "ipBlock"});
  EntityRule peer;
  if (const auto block = reader.object("ipBlock")) {
    if (reader.has("podSelector") || reader.has("namespaceSelector")) {
      reader.error("ipBlock", "cannot stand beside podSelector or namespaceSelector");
    }
    readIpBlock(*block, peer);
    return peer;
  }
  peer.selector = podSelector(reader.object("podSelector"));
  peer.namespaceSelector = namespaceSelector(reader.object("namespaceSelector"));
  return peer;
}

/// Overlapping and adjacent numbers become one range; names come first, unless there is nothing to
/// merge.
std::vector<Port> simplified(const std::vector<Port>& ports) {
  std::vector<Port> out;
  std::vector<PortRange> ranges;
  for (const Port& port : ports) {
    if (port.name.empty()) {
      ranges.push_back(port.range);
    } else {
      out.push_back(port);
    }
  }
  if (ranges.empty() || (ranges.size() == 1 && ranges[0].first == ranges[0].last)) return ports;
  std::sort(ranges.begin(), ranges.end());
  PortRange open = ranges.front();
  for (const PortRange& range : ranges) {
    if (range.first > open.last + 1) {
      out.push_back({open, {}});
      open = range;
    }
    open.last = std::max(open.last, range.last);
  }
  out.push_back({open, {}});
  return out;
}

/// No value: every port of the protocol.
std::optional<Port> readPort(const JsonReader& reader) {
  const json* raw = reader.raw("port");
  if (raw == nullptr) {
    if (reader.has("endPort")) reader.error("endPort", "needs port, the first one of the range");
    return std::nullopt;
  }
  Port port;
  const std::string* name = raw->is_string() ? raw->get_ptr<const std::string*>() : nullptr;
  if (name != nullptr && name->find_first_not_of("0123456789") != std::string::npos) {
    if (auto problem = portNameProblem(*name)) reader.error("port", std::move(*problem));
    if (reader.has("endPort")) reader.error("endPort", "cannot follow a port that is a name");
    port.name = *name;
    return port;
  }
  std::int64_t first = 0;
  if (name != nullptr && !name->empty() && name->size() <= 5) first = std::stoll(*name);
  if (raw->is_number_integer()) first = raw->get<std::int64_t>();
  if (first < 1 || first > 65535)
    reader.error("port", "must be a number from 1 to 65535, or the name of a port");
  const auto last = reader.integer("endPort", 1, 65535);
  if (last && *last < first) reader.error("endPort", "must not be below port");
  port.range = {static_cast<std::uint16_t>(first),
                static_cast<std::uint16_t>(last.value_or(first))};
  return port;
}

struct ProtocolPorts {
  std::uint8_t number = 6;
  bool all = false;
  std::vector<Port> ports;
};
using PortsByProtocol = std::map<std::string, ProtocolPorts>;  // "" is any protocol

PortsByProtocol readPorts(const JsonReader& rule) {
  PortsByProtocol out;
  const auto entries = rule.objects("ports");
  if (entries.empty()) out[""].all = true;
  for (const JsonReader& entry : entries) {
    entry.onlyFields({"protocol", "port", "endPort"});
    const std::string protocol = entry.stringOr("protocol", "TCP");
    ProtocolPorts& into = out[protocol];
    if (protocol == "UDP") into.number = 17;
    if (protocol == "SCTP") into.number = 132;
    if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP")
      entry.error("protocol", "must be TCP, UDP or SCTP");
    if (auto port = readPort(entry)) {
      into.ports.push_back(std::move(*port));
    } else {
      into.all = true;
    }
  }
  return out;
}

void convertRule(const JsonReader& rule, PolicyDirection direction,
                 std::vector<PolicyRule>& rules) {
  const char* peersField = direction == PolicyDirection::Ingress ? "from" : "to";
  rule.onlyFields({peersField, "ports"});
  std::vector<EntityRule> peers;
  for (const JsonReader& peer : rule.objects(peersField)) peers.push_back(readPeer(peer));
  if (peers.empty()) peers.emplace_back();
  for (const auto& [protocol, ports] : readPorts(rule)) {
    for (const EntityRule& peer : peers) {
      PolicyRule made;
      if (!protocol.empty()) made.protocol = ports.number;
      (direction == PolicyDirection::Ingress ? made.source : made.destination) = peer;
      if (!ports.all) made.destination.ports = simplified(ports.ports);
      rules.push_back(std::move(made));
    }
  }
}

/// Rules that cannot be converted are left out; their errors go to `out`.
std::vector<PolicyRule> convertRules(const json& spec, PolicyDirection direction, Decoded& out) {
  const char* name = direction == PolicyDirection::Ingress ? "ingress" : "egress";
  std::vector<PolicyRule> rules;
  const auto list = spec.find(name);
  if (list == spec.end() || list->is_null()) return rules;
  if (!list->is_array()) {
    out.errors.push_back({std::string("spec.") + name, "must be a list of rules"});
    return rules;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    std::vector<FieldError> errors;
    std::vector<PolicyRule> made;
    const std::string path = std::string("spec.") + name + "[" + std::to_string(i) + "]";
    convertRule(JsonReader((*list)[i], errors, UnknownFields::Errors), direction, made);
    if (errors.empty()) rules.insert(rules.end(), made.begin(), made.end());
    for (FieldError& error : errors) {
      out.errors.push_back({error.field.empty() ? path : path + "." + error.field,
                            std::move(error.reason) + "; the rule is left out"});
    }
  }
  return rules;
}

/// As the API server sets them: Ingress always, Egress if there is an egress rule.
void readTypes(const JsonReader& spec, Policy& policy) {
  const auto types = spec.strings("policyTypes");
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "Ingress") {
      policy.appliesToIngress = true;
    } else if (types[i] == "Egress") {
      policy.appliesToEgress = true;
    } else {
      spec.error("policyTypes", i, "must be Ingress or Egress");
    }
  }
  if (policy.appliesToIngress || policy.appliesToEgress) return;
  policy.appliesToIngress = true;
  policy.appliesToEgress = types.empty() && !spec.objects("egress").empty();
}

}  // namespace

void decodeKubernetesPolicy(const json& document, Decoded& out) {
  const bool named = out.errors.empty();
  const JsonReader top(document, out.errors, UnknownFields::Errors);
  top.onlyFields({"apiVersion", "kind", "metadata", "spec", "status"});
  Policy policy{
      .ns = out.key.ns, .name = out.name, .order = kOrder, .selector = std::string(kPodsOnly)};
  policy.appliesToIngress = true;
  const auto spec = top.object("spec");
  bool usable = named && (spec || !top.has("spec"));
  if (spec) {
    policy.appliesToIngress = false;
    spec->onlyFields({"podSelector", "ingress", "egress", "policyTypes"});
    const std::size_t before = out.errors.size();
    policy.selector = podSelector(spec->object("podSelector"));
    // A policy of which nobody knows whom it selects cannot be in force.
    usable = usable && out.errors.size() == before;
    readTypes(*spec, policy);
    policy.ingress = convertRules(document.at("spec"), PolicyDirection::Ingress, out);
    policy.egress = convertRules(document.at("spec"), PolicyDirection::Egress, out);
  }
  if (usable) out.value = std::make_shared<const Policy>(std::move(policy));
}

}  // namespace margay::api
