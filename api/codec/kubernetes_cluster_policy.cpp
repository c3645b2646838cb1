#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api/codec/json_reader.h"
#include "api/codec/kubernetes_decode.h"
#include "api/codec/kubernetes_rules.h"
#include "api/codec/validate_names.h"

/// ClusterNetworkPolicy (policy.networking.k8s.io v1alpha2 and v1beta1), and AdminNetworkPolicy and
/// BaselineAdminNetworkPolicy (v1alpha1), as Calico converts them: a global policy in a tier of its
/// own, whose order is the priority. Named ports, which Calico does not convert, are a rule for
/// each protocol. What the standard says of rules that an implementation does not understand holds
/// for every rule with an error: one that accepts matches nothing, one that denies or passes denies
/// everything.
/// https://github.com/kubernetes-sigs/network-policy-api/tree/main/apis
namespace margay::api {
namespace {

using nlohmann::json;

constexpr double kBaselineOrder = 1000;
constexpr std::array kTransports{"SCTP", "TCP", "UDP"};

/// What the kinds differ in.
struct Form {
  bool older = false;     ///< v1alpha1: Allow and ports, not Accept and protocols
  bool baseline = false;  ///< BaselineAdminNetworkPolicy, which cannot pass
  [[nodiscard]] const char* accept() const { return older ? "Allow" : "Accept"; }
  [[nodiscard]] const char* portsField() const { return older ? "ports" : "protocols"; }
};

/// The name of the one field that is there; reports none, several, and those that are not `known`.
std::string onlyOneOf(const JsonReader& reader, std::initializer_list<std::string_view> known) {
  const std::size_t before = reader.errorCount();
  reader.onlyFields(known);
  const auto keys = reader.keys();
  if (reader.errorCount() == before && keys.size() == 1) return keys.front();
  std::string names;
  for (const auto& name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  if (reader.errorCount() == before)
    reader.error(keys.empty() ? "is empty; it needs one of " + names
                              : "has several fields; use one of " + names + " for each entry");
  return {};
}

// --- Pods and peers ---

struct Selectors {
  std::string pods;
  std::string namespaces;
};

/// `pods` of a subject or peer.
Selectors readPods(const JsonReader& reader) {
  reader.onlyFields({"namespaceSelector", "podSelector"});
  if (!reader.has("podSelector"))
    reader.error("podSelector", "is missing; {} selects all pods of the namespaces");
  Selectors out{podSelector(reader.object("podSelector")), "all()"};
  if (const auto labels = reader.object("namespaceSelector"))
    out.namespaces = namespaceSelector(labels);
  return out;
}

void readSubject(const JsonReader& spec, Policy& policy) {
  const auto subject = spec.object("subject");
  if (!subject) {
    if (!spec.has("subject"))
      spec.error("subject", "is missing; {namespaces: {}} selects all pods");
    return;
  }
  const auto field = onlyOneOf(*subject, {"namespaces", "pods"});
  const auto selected = field.empty() ? std::nullopt : subject->object(field);
  if (!selected) return;
  if (field == "pods") {
    auto selectors = readPods(*selected);
    policy.selector = std::move(selectors.pods);
    policy.namespaceSelector = std::move(selectors.namespaces);
  } else {
    policy.selector = podSelector(std::nullopt);
    policy.namespaceSelector = namespaceSelector(selected);
  }
}

void readNetworks(const JsonReader& peer, EntityRule& out) {
  const auto networks = peer.strings("networks");
  if (networks.empty()) peer.error("networks", "needs at least one CIDR");
  for (std::size_t i = 0; i < networks.size(); ++i) {
    if (const auto cidr = readCidr(networks[i])) {
      out.nets.push_back(*cidr);
    } else {
      peer.error("networks", i,
                 "\"" + networks[i] + "\" is no CIDR; write an address and a length, 10.0.0.0/8");
    }
  }
}

EntityRule readPeer(const JsonReader& peer, PolicyDirection direction) {
  EntityRule out;
  const auto field =
      direction == PolicyDirection::Ingress
          ? onlyOneOf(peer, {"namespaces", "pods"})
          : onlyOneOf(peer, {"namespaces", "pods", "nodes", "networks", "domainNames"});
  if (field == "networks") {
    readNetworks(peer, out);
  } else if (field == "nodes") {
    peer.error("nodes", "nodes cannot be peers yet; write their addresses as networks");
  } else if (field == "domainNames") {
    peer.error("domainNames",
               "packets have addresses, not names: domain names cannot be matched; write networks");
  } else if (field == "pods") {
    if (const auto pods = peer.object("pods")) {
      auto selectors = readPods(*pods);
      out.selector = std::move(selectors.pods);
      out.namespaceSelector = std::move(selectors.namespaces);
    }
  } else if (field == "namespaces") {
    out.namespaceSelector = namespaceSelector(peer.object("namespaces"));
  }
  return out;
}

// --- Ports ---

Port readNumber(const JsonReader& reader, std::string_view field) {
  const std::size_t before = reader.errorCount();
  const auto number = reader.integer(field, 1, 65535);
  if (!number && reader.errorCount() == before)
    reader.error(field, "is missing; write a number from 1 to 65535");
  const auto port = static_cast<std::uint16_t>(number.value_or(0));
  return {{port, port}, {}};
}

Port readRange(const JsonReader& reader) {
  Port out = readNumber(reader, "start");
  out.range.last = readNumber(reader, "end").range.last;
  if (out.range.last < out.range.first) reader.error("end", "must not be below start");
  return out;
}

/// A port that has a name, of whatever protocol.
void readNamedPort(const JsonReader& reader, std::string_view field, PortsByProtocol& out) {
  const std::string name = reader.stringOr(field, "");
  if (auto problem = portNameProblem(name)) reader.error(field, std::move(*problem));
  for (const char* protocol : kTransports) out[protocol].ports.push_back({{}, name});
}

/// An entry of `protocols`.
void readProtocol(const JsonReader& entry, PortsByProtocol& out) {
  const auto field = onlyOneOf(entry, {"tcp", "udp", "sctp", "destinationNamedPort"});
  if (field == "destinationNamedPort") return readNamedPort(entry, field, out);
  const auto protocol = field.empty() ? std::nullopt : entry.object(field);
  if (!protocol) return;
  if (onlyOneOf(*protocol, {"destinationPort"}).empty()) return;
  const auto port = protocol->object("destinationPort");
  if (!port) return;
  auto& ports = out[field == "tcp" ? "TCP" : field == "udp" ? "UDP" : "SCTP"].ports;
  const auto kind = onlyOneOf(*port, {"number", "range"});
  if (kind == "number") ports.push_back(readNumber(*port, kind));
  const auto range = kind == "range" ? port->object(kind) : std::nullopt;
  if (!range) return;
  range->onlyFields({"start", "end"});
  ports.push_back(readRange(*range));
}

/// An entry of `ports`.
void readPort(const JsonReader& entry, PortsByProtocol& out) {
  const auto field = onlyOneOf(entry, {"portNumber", "portRange", "namedPort"});
  if (field == "namedPort") return readNamedPort(entry, field, out);
  const auto port = field.empty() ? std::nullopt : entry.object(field);
  if (!port) return;
  const std::string protocol = port->stringOr("protocol", "TCP");
  if (!transportNumber(protocol)) port->error("protocol", "must be TCP, UDP or SCTP");
  if (field == "portNumber") {
    port->onlyFields({"protocol", "port"});
    out[protocol].ports.push_back(readNumber(*port, "port"));
  } else {
    port->onlyFields({"protocol", "start", "end"});
    out[protocol].ports.push_back(readRange(*port));
  }
}

PortsByProtocol readPorts(const JsonReader& rule, const Form& form) {
  PortsByProtocol out;
  const auto entries = rule.objects(form.portsField());
  if (entries.empty()) out[""].all = true;
  for (const JsonReader& entry : entries)
    form.older ? readPort(entry, out) : readProtocol(entry, out);
  return out;
}

bool hasNamedPort(const KubernetesRule& rule) {
  return std::any_of(rule.ports.begin(), rule.ports.end(), [](const auto& entry) {
    const auto& ports = entry.second.ports;
    return std::any_of(ports.begin(), ports.end(),
                       [](const Port& port) { return !port.name.empty(); });
  });
}

// --- Rules ---

/// An action that is none allows nothing, and nothing stands for its rule.
RuleAction readAction(const JsonReader& reader, const Form& form) {
  const std::string text = reader.stringOr("action", "");
  if (text == "Deny") return RuleAction::Deny;
  if (text == "Pass" && !form.baseline) return RuleAction::Pass;
  if (text != form.accept())
    reader.error("action", "must be " + std::string(form.accept()) +
                               (form.baseline ? " or Deny" : ", Deny or Pass"));
  return RuleAction::Allow;
}

KubernetesRule readRule(const JsonReader& reader, const Form& form, PolicyDirection direction) {
  const char* peersField = direction == PolicyDirection::Ingress ? "from" : "to";
  reader.onlyFields({"name", "action", peersField, form.portsField()});
  KubernetesRule out;
  out.action = readAction(reader, form);
  out.name = reader.stringOr("name", "");
  const std::size_t before = reader.errorCount();
  for (const JsonReader& peer : reader.objects(peersField))
    out.peers.push_back(readPeer(peer, direction));
  if (out.peers.empty() && reader.errorCount() == before)
    reader.error(peersField, "needs at least one peer; {namespaces: {}} is all pods");
  out.ports = readPorts(reader, form);
  const auto isNetwork = [](const EntityRule& peer) { return !peer.nets.empty(); };
  if (hasNamedPort(out) && std::any_of(out.peers.begin(), out.peers.end(), isNetwork))
    reader.error(form.portsField(),
                 "networks have no named ports; write numbers, or a rule for the pods alone");
  return out;
}

std::optional<PolicyRule> failedClosed(const KubernetesRule& rule) {
  if (rule.action == RuleAction::Allow) return std::nullopt;
  PolicyRule deny;
  deny.action = RuleAction::Deny;
  deny.name = rule.name;
  return deny;
}

std::vector<PolicyRule> rulesOf(const json& spec, const Form& form, PolicyDirection direction,
                                Decoded& out) {
  const auto read = [&](const JsonReader& reader) { return readRule(reader, form, direction); };
  return convertRules(spec, direction, {read, failedClosed}, out);
}

// --- Policies ---

std::string tierOf(const JsonReader& spec, const Form& form) {
  if (form.baseline) return std::string(kOlderBaselineTier);
  if (form.older) return std::string(kOlderAdminTier);
  const std::string tier = spec.stringOr("tier", "");
  if (tier != "Admin" && tier != "Baseline") spec.error("tier", "must be Admin or Baseline");
  return std::string(tier == "Baseline" ? kBaselineTier : kAdminTier);
}

double orderOf(const JsonReader& spec, const Form& form) {
  if (form.baseline) return kBaselineOrder;
  const std::size_t before = spec.errorCount();
  const auto priority = spec.integer("priority", 0, 1000);
  if (!priority && spec.errorCount() == before)
    spec.error("priority", "is missing; write a number from 0 to 1000");
  return static_cast<double>(priority.value_or(0));
}

void checkFields(const JsonReader& spec, const Form& form) {
  if (form.baseline) {
    spec.onlyFields({"subject", "ingress", "egress"});
  } else if (form.older) {
    spec.onlyFields({"priority", "subject", "ingress", "egress"});
  } else {
    spec.onlyFields({"tier", "priority", "subject", "ingress", "egress"});
  }
}

}  // namespace

void decodeClusterPolicy(const json& document, Decoded& out) {
  const Form form{.older = out.key.kind != Kind::ClusterNetworkPolicy,
                  .baseline = out.key.kind == Kind::BaselineAdminNetworkPolicy};
  if (form.baseline && out.name != "default")
    out.errors.push_back({"metadata.name", "there is one such policy, and its name is default"});
  const bool named = out.errors.empty();
  const JsonReader top(document, out.errors, UnknownFields::Errors);
  top.onlyFields({"apiVersion", "kind", "metadata", "spec", "status"});
  const auto spec = top.object("spec");
  if (!spec) {
    if (!top.has("spec")) top.error("spec", "is missing");
    return;
  }
  const std::size_t before = out.errors.size();
  Policy policy{.ns = {}, .name = out.name};
  policy.tier = tierOf(*spec, form);
  policy.order = orderOf(*spec, form);
  readSubject(*spec, policy);
  // Without a place or a subject it cannot be in force.
  const bool usable = named && out.errors.size() == before;
  checkFields(*spec, form);
  policy.ingress = rulesOf(document.at("spec"), form, PolicyDirection::Ingress, out);
  policy.egress = rulesOf(document.at("spec"), form, PolicyDirection::Egress, out);
  policy.appliesToIngress = !policy.ingress.empty();
  policy.appliesToEgress = !policy.egress.empty();
  if (usable) out.value = share(std::move(policy));
}

}  // namespace margay::api
