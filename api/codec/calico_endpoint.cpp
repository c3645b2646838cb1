#include <algorithm>
#include <array>
#include <utility>

#include "api/codec/calico_fields.h"
#include "api/codec/calico_kinds.h"
#include "api/codec/validate_names.h"
#include "api/model/endpoint.h"
#include "api/selector/effective.h"

namespace margay::api {
namespace {

using Mac = std::array<std::uint8_t, 6>;

std::optional<std::uint8_t> hexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

/// 6 bytes as aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff or aabb.ccdd.eeff.
std::optional<Mac> parseMac(std::string_view text) {
  constexpr std::size_t kBytewise = 17;
  constexpr std::size_t kPairwise = 14;
  if (text.size() != kBytewise && text.size() != kPairwise) return std::nullopt;
  const std::size_t group = text.size() == kBytewise ? 2 : 4;
  const char separator = text[group];
  if (group == 2 ? separator != ':' && separator != '-' : separator != '.') return std::nullopt;
  Mac mac{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % (group + 1) == group) {
      if (text[i] != separator) return std::nullopt;
      continue;
    }
    const auto digit = hexDigit(text[i]);
    if (!digit) return std::nullopt;
    mac[digits / 2] = static_cast<std::uint8_t>(mac[digits / 2] << 4 | *digit);
    ++digits;
  }
  return mac;
}

/// The field of the spec that is the third part of the endpoint's name.
std::string_view workloadField(std::string_view orchestrator) {
  if (orchestrator == "k8s") return "pod";
  if (orchestrator == "cni") return "containerID";
  return orchestrator == "libnetwork" ? "orchestrator" : "workload";
}

/// Node, orchestrator, workload and endpoint from the spec; what it leaves out, from the name.
EndpointIdentity readIdentity(const CalicoObject& object) {
  const JsonReader& spec = object.spec;
  for (const std::string_view key : {"workload", "pod", "serviceAccountName"}) {
    static_cast<void>(readName(spec, key));
  }
  if (const std::string id = spec.stringOr("containerID", ""); !id.empty() && !isContainerId(id)) {
    spec.error("containerID",
               "'" + id + "' is no container ID; use letters, digits and '-', no '-' at the ends");
  }
  const auto named = EndpointIdentity::parse(object.name).value_or(EndpointIdentity{});
  const auto orElse = [](const std::string& text, const std::string& part) {
    return text.empty() ? part : text;
  };
  EndpointIdentity out;
  out.node = orElse(readName(spec, "node"), named.node);
  out.orchestrator = orElse(readName(spec, "orchestrator"), named.orchestrator);
  out.workload = orElse(spec.stringOr(workloadField(out.orchestrator), ""), named.workload);
  out.workload = orElse(out.workload, spec.stringOr("workload", ""));
  out.endpoint = orElse(readName(spec, "endpoint"), named.endpoint);
  if (out.node.empty() || out.orchestrator.empty() || out.workload.empty() ||
      out.endpoint.empty()) {
    object.warnings->push_back(
        "WorkloadEndpoint " + object.name +
        " does not say all of node, orchestrator, workload and endpoint; set them in its spec");
    return out;
  }
  if (const std::string expected = out.name(); object.name != expected) {
    object.warnings->push_back("WorkloadEndpoint " + object.name + " should be named " + expected +
                               " after its spec");
  }
  return out;
}

/// Own labels, without those that would speak for a namespace or service account, and with those
/// that the endpoint's place gives it.
Labels endpointLabels(const CalicoObject& object, const std::string& orchestrator) {
  LabelMap labels;
  for (const auto& label : object.labels) {
    if (label.first.starts_with(kNamespaceLabelPrefix) ||
        label.first.starts_with(kServiceAccountLabelPrefix))
      continue;
    labels.push_back(label);
  }
  labels.emplace_back(kNamespaceLabel, object.ns);
  if (!orchestrator.empty()) labels.emplace_back(kOrchestratorLabel, orchestrator);
  const std::string account = object.spec.stringOr("serviceAccountName", "");
  if (!account.empty()) labels.emplace_back(kServiceAccountLabel, account);
  return Labels(std::move(labels));
}

std::vector<Prefix> readAddresses(const JsonReader& spec) {
  std::vector<Prefix> addresses;
  const auto entries = spec.strings("ipNetworks");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string problem;
    const auto net = parseNet(entries[i], NetForm::CidrOrAddress, problem);
    if (!net) {
      spec.error("ipNetworks", i, std::move(problem));
    } else if (!net->isHost()) {
      spec.error("ipNetworks", i,
                 "IP network contains multiple addresses; only /32 and /128 are supported");
    } else {
      addresses.push_back(*net);
    }
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

void checkNats(const CalicoObject& object, const std::vector<Prefix>& addresses) {
  const auto nats = object.spec.objects("ipNATs");
  for (const JsonReader& nat : nats) {
    nat.onlyFields({"internalIP", "externalIP", "source"});
    const auto internal = readAddress(nat, "internalIP");
    const auto external = readAddress(nat, "externalIP");
    if (!internal || !external) {
      if (!nat.has("internalIP")) nat.error("internalIP", "is missing; write one of ipNetworks");
      if (!nat.has("externalIP")) nat.error("externalIP", "is missing; write the address outside");
      continue;
    }
    if (internal->family() != external->family())
      nat.error("externalIP", "mismatched IP versions; use one family");
    const bool own = std::any_of(addresses.begin(), addresses.end(),
                                 [&](const Prefix& net) { return net.contains(*internal); });
    if (!own) nat.error("internalIP", "NAT is not in the endpoint networks; add it to ipNetworks");
  }
  if (!nats.empty()) {
    object.warnings->push_back("WorkloadEndpoint " + object.name + ": ipNATs are not programmed");
  }
}

enum class UnnamedPorts : std::uint8_t { Refused, WithHostPort };

/// Named ports; unnamed ones serve host port mappings only and are left out.
std::vector<EndpointPort> readEndpointPorts(const JsonReader& spec, UnnamedPorts unnamed) {
  std::vector<EndpointPort> ports;
  for (const JsonReader& reader : spec.objects("ports")) {
    if (unnamed == UnnamedPorts::WithHostPort) {
      reader.onlyFields({"name", "protocol", "port", "hostPort", "hostIP"});
    } else {
      reader.onlyFields({"name", "protocol", "port"});
    }
    EndpointPort port;
    port.name = reader.stringOr("name", "");
    const auto protocol = readProtocol(reader, "protocol");
    const auto number = reader.integer("port", 1, 65535);
    const auto hostPort = reader.integer("hostPort", 0, 65535).value_or(0);
    static_cast<void>(readAddress(reader, "hostIP"));
    if (!reader.has("port")) reader.error("port", "is missing; use 1 to 65535");
    if (!protocol ? !reader.has("protocol") : !hasPorts(*protocol)) {
      reader.error("protocol", "protocol does not support ports; use TCP, UDP or SCTP");
    }
    if (!port.name.empty()) {
      if (auto problem = portNameProblem(port.name)) reader.error("name", std::move(*problem));
    } else if (unnamed == UnnamedPorts::Refused || hostPort == 0) {
      reader.error("name", "must not be empty; give the port a name");
    }
    if (port.name.empty() || !protocol || !number) continue;
    port.protocol = *protocol;
    port.port = static_cast<std::uint16_t>(*number);
    ports.push_back(std::move(port));
  }
  return ports;
}

std::string readInterfaceName(const JsonReader& spec) {
  std::string name = spec.stringOr("interfaceName", "");
  if (!name.empty() && !isInterfaceName(name)) {
    spec.error(
        "interfaceName",
        "'" + name + "' is no interface name; use 1 to 15 letters, digits, '_', '.' and '-'");
  }
  return name;
}

}  // namespace

std::optional<Value> decodeWorkloadEndpoint(const CalicoObject& object) {
  const JsonReader& spec = object.spec;
  spec.onlyFields({"orchestrator", "workload", "node", "containerID", "pod", "endpoint",
                   "serviceAccountName", "ipNetworks", "ipNATs", "ipv4Gateway", "ipv6Gateway",
                   "profiles", "interfaceName", "mac", "ports", "allowSpoofedSourcePrefixes",
                   "qosControls"});
  WorkloadEndpoint endpoint;
  endpoint.ns = object.ns;
  endpoint.name = object.name;
  EndpointIdentity identity = readIdentity(object);
  endpoint.node = identity.node;
  EndpointDetails details;
  details.interfaceName = readInterfaceName(spec);
  if (!spec.has("interfaceName"))
    spec.error("interfaceName", "is missing; write the name of the host's end of the veth pair");
  if (const auto text = spec.string("mac"); text && !text->empty()) {
    details.mac = parseMac(*text);
    if (!details.mac)
      spec.error("mac", "'" + *text + "' is no MAC address; write aa:bb:cc:dd:ee:ff");
  }
  auto addresses = readAddresses(spec);
  checkNats(object, addresses);
  endpoint.addresses = std::move(addresses);
  static_cast<void>(readAddress(spec, "ipv4Gateway", Family::V4));
  static_cast<void>(readAddress(spec, "ipv6Gateway", Family::V6));
  endpoint.labels = endpointLabels(object, identity.orchestrator);
  if (auto names = readProfileNames(spec, "profiles"); !names.empty()) {
    endpoint.profiles = share(std::move(names));
  }
  if (auto ports = readEndpointPorts(spec, UnnamedPorts::WithHostPort); !ports.empty()) {
    endpoint.ports = share(std::move(ports));
  }
  details.allowedSources = readNets(spec, "allowSpoofedSourcePrefixes", NetForm::Loose);
  if (identity.name() != object.name) details.identity = std::move(identity);
  endpoint.setDetails(std::move(details));
  if (endpoint.addresses.empty()) {
    object.warnings->push_back("WorkloadEndpoint " + object.name +
                               " has no ipNetworks and so no effect");
    return std::nullopt;
  }
  return share(std::move(endpoint));
}

std::optional<Value> decodeHostEndpoint(const CalicoObject& object) {
  const JsonReader& spec = object.spec;
  spec.onlyFields({"node", "interfaceName", "expectedIPs", "profiles", "ports"});
  if (readName(spec, "node").empty())
    spec.error("node", "node must be specified: which host has this endpoint");
  const std::string interfaceName = readInterfaceName(spec);
  const auto addresses = spec.strings("expectedIPs");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (!Address::parse(addresses[i])) {
      spec.error("expectedIPs", i,
                 "'" + addresses[i] + "' is no IP address; write it without a prefix length");
    }
  }
  if (interfaceName.empty() && addresses.empty()) {
    spec.error("interfaceName", "at least one of interfaceName or expectedIPs must be specified");
  }
  static_cast<void>(readProfileNames(spec, "profiles"));
  static_cast<void>(readEndpointPorts(spec, UnnamedPorts::Refused));
  object.warnings->push_back("HostEndpoint " + object.name +
                             " is not programmed: host endpoints are not supported yet");
  return std::nullopt;
}

}  // namespace margay::api
