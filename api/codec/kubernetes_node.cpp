#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/codec/json_reader.h"
#include "api/codec/kubernetes_decode.h"

namespace margay::api {
namespace {

using nlohmann::json;

void readPodCidrs(const JsonReader& spec, Node& node) {
  auto cidrs = spec.strings("podCIDRs");
  const bool plural = !cidrs.empty();
  if (!plural) cidrs.push_back(spec.stringOr("podCIDR", ""));
  for (std::size_t i = 0; i < cidrs.size(); ++i) {
    if (cidrs[i].empty()) continue;
    if (const auto cidr = Prefix::parseNetwork(cidrs[i])) {
      node.podCidrs.push_back(*cidr);
    } else if (plural) {
      spec.error("podCIDRs", i, "\"" + cidrs[i] + "\" is no CIDR");
    } else {
      spec.error("podCIDR", "\"" + cidrs[i] + "\" is no CIDR");
    }
  }
}

void readAddresses(const JsonReader& status, Node& node) {
  for (const JsonReader& entry : status.objects("addresses")) {
    if (entry.stringOr("type", "") != "InternalIP") continue;
    const std::string text = entry.stringOr("address", "");
    if (const auto address = Address::parse(text)) {
      node.internalAddresses.push_back(*address);
    } else {
      entry.error("address", "\"" + text + "\" is no IP address");
    }
  }
}

void readBgpAddress(const JsonReader& metadata, const LabelMap& annotations, Family family,
                    Node& node) {
  const std::string name =
      family == Family::V4 ? "projectcalico.org/IPv4Address" : "projectcalico.org/IPv6Address";
  for (const auto& [key, value] : annotations) {
    if (key != name || value.empty()) continue;
    const auto address = Prefix::parseAddress(value);
    if (!address || address->family() != family) {
      metadata.error("annotations", name + ": \"" + value + "\" is no address with its subnet");
    } else {
      (family == Family::V4 ? node.bgpAddress4 : node.bgpAddress6) = *address;
    }
  }
}

std::uint8_t protocolOf(const JsonReader& port) {
  const std::string name = port.stringOr("protocol", "TCP");
  if (name == "TCP") return 6;
  if (name == "UDP") return 17;
  if (name != "SCTP") port.error("protocol", "must be TCP, UDP or SCTP");
  return 132;
}

}  // namespace

void decodeKubernetesNode(const json& document, Decoded& out) {
  const JsonReader top(document, out.errors);
  Node node{.name = out.name};
  if (const auto metadata = top.object("metadata")) {
    node.labels = Labels(metadata->stringMap("labels"));
    const LabelMap annotations = metadata->stringMap("annotations");
    readBgpAddress(*metadata, annotations, Family::V4, node);
    readBgpAddress(*metadata, annotations, Family::V6, node);
  }
  if (const auto spec = top.object("spec")) readPodCidrs(*spec, node);
  if (const auto status = top.object("status")) readAddresses(*status, node);
  if (out.errors.empty()) out.value = share(std::move(node));
}

void decodeService(const json& document, Decoded& out) {
  const JsonReader top(document, out.errors);
  Service service{.ns = out.key.ns, .name = out.name};
  if (const auto spec = top.object("spec")) {
    auto ips = spec->strings("clusterIPs");
    if (ips.empty()) ips.push_back(spec->stringOr("clusterIP", ""));
    for (const std::string& ip : ips) {
      if (ip.empty() || ip == "None") continue;
      if (const auto address = Address::parse(ip)) {
        service.clusterIps.push_back(*address);
      } else {
        spec->error("clusterIP", "\"" + ip + "\" is no IP address");
      }
    }
    for (const JsonReader& port : spec->objects("ports")) {
      const auto number = port.integer("port", 1, 65535);
      if (!number) {
        if (!port.has("port")) port.error("port", "a service port needs a number");
        continue;
      }
      service.ports.push_back(
          {port.stringOr("name", ""), protocolOf(port), static_cast<std::uint16_t>(*number)});
    }
  }
  if (out.errors.empty()) out.value = share(std::move(service));
}

void decodeEndpointSlice(const json& document, Decoded& out) {
  const JsonReader top(document, out.errors);
  EndpointSlice slice{.ns = out.key.ns, .name = out.name};
  if (const auto metadata = top.object("metadata")) {
    for (const auto& [key, value] : metadata->stringMap("labels")) {
      if (key == "kubernetes.io/service-name") slice.service = value;
    }
  }
  const bool names =
      top.stringOr("addressType", "") == "FQDN";  // host names have no address to match
  for (const JsonReader& endpoint : top.objects("endpoints")) {
    const auto addresses = endpoint.strings("addresses");
    for (std::size_t i = 0; i < addresses.size() && !names; ++i) {
      if (const auto address = Address::parse(addresses[i])) {
        slice.addresses.push_back(*address);
      } else {
        endpoint.error("addresses", i, "\"" + addresses[i] + "\" is no IP address");
      }
    }
  }
  for (const JsonReader& port : top.objects("ports")) {
    const auto number = port.integer("port", 1, 65535);
    if (number)
      slice.ports.push_back(
          {port.stringOr("name", ""), protocolOf(port), static_cast<std::uint16_t>(*number)});
  }
  std::sort(slice.addresses.begin(), slice.addresses.end());
  slice.addresses.erase(std::unique(slice.addresses.begin(), slice.addresses.end()),
                        slice.addresses.end());
  if (out.errors.empty()) out.value = share(std::move(slice));
}

}  // namespace margay::api
