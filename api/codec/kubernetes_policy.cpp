#include <nlohmann/json.hpp>

#include "api/codec/json_reader.h"
#include "api/codec/kubernetes_decode.h"
#include "api/codec/kubernetes_rules.h"
#include "api/codec/validate_names.h"

/// NetworkPolicy as Calico converts it: one rule for each protocol (in the order of their names)
/// and peer.
namespace margay::api {
namespace {

using nlohmann::json;

constexpr double kOrder = 1000;

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

PortsByProtocol readPorts(const JsonReader& rule) {
  PortsByProtocol out;
  const auto entries = rule.objects("ports");
  if (entries.empty()) out[""].all = true;
  for (const JsonReader& entry : entries) {
    entry.onlyFields({"protocol", "port", "endPort"});
    const std::string protocol = entry.stringOr("protocol", "TCP");
    ProtocolPorts& into = out[protocol];
    if (!transportNumber(protocol)) entry.error("protocol", "must be TCP, UDP or SCTP");
    if (auto port = readPort(entry)) {
      into.ports.push_back(std::move(*port));
    } else {
      into.all = true;
    }
  }
  return out;
}

std::vector<PolicyRule> rulesOf(const json& spec, PolicyDirection direction, Decoded& out) {
  const char* peersField = direction == PolicyDirection::Ingress ? "from" : "to";
  const auto read = [&](const JsonReader& reader) {
    KubernetesRule rule;
    reader.onlyFields({peersField, "ports"});
    for (const JsonReader& peer : reader.objects(peersField)) rule.peers.push_back(readPeer(peer));
    rule.ports = readPorts(reader);
    return rule;
  };
  const auto leaveOut = [](const KubernetesRule&) { return std::optional<PolicyRule>(); };
  return convertRules(spec, direction, {read, leaveOut}, out);
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
      .ns = out.key.ns, .name = out.name, .order = kOrder, .selector = podSelector(std::nullopt)};
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
    policy.ingress = rulesOf(document.at("spec"), PolicyDirection::Ingress, out);
    policy.egress = rulesOf(document.at("spec"), PolicyDirection::Egress, out);
  }
  if (usable) out.value = share(std::move(policy));
}

}  // namespace margay::api
