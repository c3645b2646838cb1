#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/codec/kubernetes_decode.h"
#include "api/codec/validate_names.h"
#include "api/selector/effective.h"

/// Pods are read straight from the tree: a cluster has a hundred thousand of them.
namespace margay::api {
namespace {

using nlohmann::json;

const json kNothing;

const json& field(const json& object, const char* name) {
  if (!object.is_object()) return kNothing;
  const auto found = object.find(name);
  return found == object.end() ? kNothing : *found;
}

std::string_view text(const json& object, const char* name) {
  const json& value = field(object, name);
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>())
                           : std::string_view();
}

/// Present fields must have the type that the API gives them.
void requireType(const json& object, const char* name, json::value_t type, const char* path,
                 const char* typeName, Decoded& out) {
  const json& value = field(object, name);
  if (!value.is_null() && value.type() != type)
    out.errors.push_back({path, std::string("must be ") + typeName});
}

bool isFinished(const json& metadata, const json& annotations, const json& status) {
  if (!field(metadata, "deletionTimestamp").is_null()) {
    // The CNI plugin empties its annotation at the moment the pod loses its address.
    for (const char* name : {"cni.projectcalico.org/podIP", "vpc.amazonaws.com/pod-ips"}) {
      const json& ip = field(annotations, name);
      if (ip.is_string() && ip.get_ref<const std::string&>().empty()) return true;
    }
  }
  const std::string_view phase = text(status, "phase");
  return phase == "Failed" || phase == "Succeeded" || phase == "Completed";
}

void addAddress(std::string_view ip, std::string path, std::vector<Prefix>& addresses,
                Decoded& out) {
  const auto parsed = Prefix::parseNetwork(ip);
  if (!parsed || !parsed->isHost()) {
    out.errors.push_back({std::move(path), "\"" + std::string(ip) + "\" is no IP address"});
    return;
  }
  addresses.push_back(*parsed);
}

void addAddressList(std::string_view list, const std::string& path, std::vector<Prefix>& addresses,
                    Decoded& out) {
  while (true) {
    const auto comma = list.find(',');
    addAddress(list.substr(0, comma), path, addresses, out);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

std::vector<Prefix> podAddresses(const json& annotations, const json& status, Decoded& out) {
  std::vector<Prefix> addresses;
  const json& ips = field(status, "podIPs");
  const auto annotated = [&](const char* name) {
    const std::string_view list = text(annotations, name);
    if (!list.empty())
      addAddressList(list, "metadata.annotations." + std::string(name), addresses, out);
    return !list.empty();
  };
  if (ips.is_array() && !ips.empty()) {
    for (std::size_t i = 0; i < ips.size(); ++i) {
      addAddress(text(ips[i], "ip"), "status.podIPs[" + std::to_string(i) + "].ip", addresses, out);
    }
  } else if (const std::string_view ip = text(status, "podIP"); !ip.empty()) {
    addAddress(ip, "status.podIP", addresses, out);
  } else if (!annotated("cni.projectcalico.org/podIPs") &&
             !annotated("cni.projectcalico.org/podIP")) {
    annotated("vpc.amazonaws.com/pod-ips");
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

struct PodIdentity {
  std::string_view ns;
  std::string_view account;
};

bool isReservedLabel(std::string_view key) {
  return key.substr(0, kNamespaceLabelPrefix.size()) == kNamespaceLabelPrefix ||
         key.substr(0, kServiceAccountLabelPrefix.size()) == kServiceAccountLabelPrefix;
}

Labels podLabels(const json& labels, const PodIdentity& pod, EndpointPools& pools, Decoded& out) {
  std::string key(pod.ns);
  key.append(1, '\0').append(pod.account);
  if (labels.is_object()) {
    for (const auto& [name, value] : labels.get_ref<const json::object_t&>()) {
      key.append(1, '\0').append(name).append(1, '\0');
      if (value.is_string()) key += value.get_ref<const std::string&>();
      if (!value.is_string())
        out.errors.push_back({"metadata.labels." + name, "must be a string; write it in quotes"});
    }
  }
  if (const Labels* known = pools.find<Labels>(key)) return *known;
  LabelMap pairs;
  pairs.reserve(labels.size() + 3);
  if (labels.is_object()) {
    for (const auto& [name, value] : labels.get_ref<const json::object_t&>()) {
      if (!value.is_string() || isReservedLabel(name)) continue;
      const auto& content = value.get_ref<const std::string&>();
      if (auto problem = qualifiedNameProblem(name))
        out.errors.push_back({"metadata.labels." + name, std::move(*problem)});
      if (auto problem = labelValueProblem(content))
        out.errors.push_back({"metadata.labels." + name, std::move(*problem)});
      pairs.emplace_back(name, content);
    }
  }
  // Of equal keys the last one stays: nobody can pretend to be elsewhere.
  pairs.emplace_back(kNamespaceLabel, pod.ns);
  pairs.emplace_back(kOrchestratorLabel, "k8s");
  if (!pod.account.empty()) pairs.emplace_back(kServiceAccountLabel, pod.account);
  Labels made(std::move(pairs));
  return out.errors.empty() ? pools.keep(key, std::move(made)) : made;
}

std::uint8_t protocolNumber(std::string_view name) {
  if (name.empty() || name == "TCP") return 6;
  if (name == "UDP") return 17;
  return name == "SCTP" ? 132 : 0;
}

EndpointPorts podPorts(const json& spec, EndpointPools& pools) {
  std::vector<EndpointPort> ports;
  std::string key;
  for (const char* list : {"containers", "initContainers"}) {
    const json& containers = field(spec, list);
    if (!containers.is_array()) continue;
    for (const json& container : containers) {
      const json& all = field(container, "ports");
      if (!all.is_array()) continue;
      for (const json& port : all) {
        const std::string_view name = text(port, "name");
        const json& number = field(port, "containerPort");
        const std::uint8_t protocol = protocolNumber(text(port, "protocol"));
        if (name.empty() || protocol == 0 || !number.is_number_integer()) continue;
        const auto value = number.get<std::int64_t>();
        if (value < 1 || value > 65535) continue;
        ports.push_back({std::string(name), protocol, static_cast<std::uint16_t>(value)});
        key.append(name)
            .append("/")
            .append(std::to_string(protocol))
            .append("/")
            .append(std::to_string(value))
            .append("\n");
      }
    }
  }
  if (ports.empty()) return nullptr;
  if (const auto* known = pools.find<EndpointPorts>(key)) return *known;
  return pools.keep<EndpointPorts>(key, share(std::move(ports)));
}

std::vector<Prefix> allowedSources(const json& annotations, Decoded& out) {
  constexpr const char* kName = "cni.projectcalico.org/allowedSourcePrefixes";
  const std::string path = std::string("metadata.annotations.") + kName;
  std::vector<Prefix> prefixes;
  const std::string_view annotation = text(annotations, kName);
  if (annotation.empty()) return prefixes;
  const json list = json::parse(annotation, nullptr, false);
  if (!list.is_array() ||
      std::any_of(list.begin(), list.end(), [](const json& entry) { return !entry.is_string(); })) {
    out.errors.push_back({path, "must be a JSON list of CIDRs"});
    return prefixes;
  }
  for (const json& entry : list) {
    const auto& cidr = entry.get_ref<const std::string&>();
    const auto parsed =
        cidr.find('/') == std::string::npos ? std::nullopt : Prefix::parseNetwork(cidr);
    if (parsed) {
      prefixes.push_back(*parsed);
    } else {
      out.errors.push_back({path, "\"" + cidr + "\" is no CIDR"});
    }
  }
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  return prefixes;
}

void checkTypes(const json& document, Decoded& out) {
  using Type = json::value_t;
  const json& metadata = field(document, "metadata");
  const json& spec = field(document, "spec");
  const json& status = field(document, "status");
  requireType(document, "spec", Type::object, "spec", "a mapping", out);
  requireType(document, "status", Type::object, "status", "a mapping", out);
  requireType(metadata, "labels", Type::object, "metadata.labels", "a mapping", out);
  requireType(metadata, "annotations", Type::object, "metadata.annotations", "a mapping", out);
  requireType(spec, "nodeName", Type::string, "spec.nodeName", "a string", out);
  requireType(spec, "hostNetwork", Type::boolean, "spec.hostNetwork", "true or false", out);
  requireType(spec, "serviceAccountName", Type::string, "spec.serviceAccountName", "a string", out);
  requireType(spec, "containers", Type::array, "spec.containers", "a list", out);
  requireType(spec, "initContainers", Type::array, "spec.initContainers", "a list", out);
  requireType(status, "podIP", Type::string, "status.podIP", "a string", out);
  requireType(status, "podIPs", Type::array, "status.podIPs", "a list", out);
  requireType(status, "phase", Type::string, "status.phase", "a string", out);
}

}  // namespace

void decodePod(const json& document, EndpointPools& pools, Decoded& out) {
  checkTypes(document, out);
  const json& metadata = field(document, "metadata");
  const json& annotations = field(metadata, "annotations");
  const json& spec = field(document, "spec");
  const json& status = field(document, "status");
  const std::string_view node = text(spec, "nodeName");
  const PodIdentity pod{out.ns, text(spec, "serviceAccountName")};
  const json& hostNetwork = field(spec, "hostNetwork");
  WorkloadEndpoint endpoint;
  endpoint.labels = podLabels(field(metadata, "labels"), pod, pools, out);
  EndpointDetails details;
  details.allowedSources = allowedSources(annotations, out);
  endpoint.addresses = podAddresses(annotations, status, out);
  if (!node.empty())
    out.key = {Kind::WorkloadEndpoint, pools.string(out.ns),
               workloadEndpointName(node, "k8s", out.name, "eth0")};
  const bool onHost = hostNetwork.is_boolean() && hostNetwork.get<bool>();
  const bool used = !node.empty() && !onHost && !isFinished(metadata, annotations, status);
  if (!out.errors.empty() || !used || endpoint.addresses.empty()) return;
  endpoint.ns = out.key.ns;
  endpoint.name = out.key.name;
  endpoint.node = pools.string(node);
  endpoint.profiles = pools.profiles(pod.ns, pod.account);
  endpoint.ports = podPorts(spec, pools);
  endpoint.setDetails(std::move(details));
  out.value = share(std::move(endpoint));
}

}  // namespace margay::api
