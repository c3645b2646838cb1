#include "api/kubernetes/object_form.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/codec/as_number.h"
#include "api/kubernetes/resource_decoder.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

constexpr const char* kCalicoGroup = "crd.projectcalico.org/v1";
constexpr const char* kMetadata = "projectcalico.org/metadata";
constexpr const char* kLabels = "projectcalico.org/labels";
constexpr const char* kAnnotations = "projectcalico.org/annotations";
constexpr const char* kKubeLabels = "projectcalico.org/kube-labels";

/// Where a field of a Node is kept.
struct NodeField {
  const char* path;
  const char* annotation;
};
constexpr NodeField kNodeFields[] = {
    {"/spec/bgp/ipv4Address", "projectcalico.org/IPv4Address"},
    {"/spec/bgp/ipv6Address", "projectcalico.org/IPv6Address"},
    {"/spec/bgp/ipv4IPIPTunnelAddr", "projectcalico.org/IPv4IPIPTunnelAddr"},
    {"/spec/bgp/routeReflectorClusterID", "projectcalico.org/RouteReflectorClusterID"},
    {"/spec/bgp/asNumber", "projectcalico.org/ASNumber"},
    {"/spec/ipv4VXLANTunnelAddr", "projectcalico.org/IPv4VXLANTunnelAddr"},
    {"/spec/vxlanTunnelMACAddr", "projectcalico.org/VXLANTunnelMACAddr"},
    {"/spec/ipv6VXLANTunnelAddr", "projectcalico.org/IPv6VXLANTunnelAddr"},
    {"/spec/vxlanTunnelMACAddrV6", "projectcalico.org/VXLANTunnelMACAddrV6"},
    {"/spec/wireguard/interfaceIPv4Address", "projectcalico.org/IPv4WireguardInterfaceAddr"},
    {"/spec/wireguard/interfaceIPv6Address", "projectcalico.org/IPv6WireguardInterfaceAddr"},
    {"/status/wireguardPublicKey", "projectcalico.org/WireguardPublicKey"},
    {"/status/wireguardPublicKeyV6", "projectcalico.org/WireguardPublicKeyV6"},
};

/// An IPAMConfiguration of users is the IPAMConfig that older programs know.
bool isIpamConfiguration(const StoredKind& kind) {
  return kind.kindName == "IPAMConfiguration";
}

Json objectAt(const Json& from, const char* path) {
  const Json::json_pointer pointer(path);
  return from.contains(pointer) && from[pointer].is_object() ? from[pointer] : Json::object();
}

std::string textAt(const Json& from, const Json::json_pointer& pointer) {
  return from.contains(pointer) && from[pointer].is_string() ? from[pointer].get<std::string>()
                                                             : std::string();
}

/// The object that an annotation has as JSON.
Json annotated(const Json& annotations, const char* name) {
  const auto found = annotations.find(name);
  if (found == annotations.end() || !found->is_string()) return Json::object();
  auto parsed = Json::parse(found->get<std::string>(), nullptr, false);
  return parsed.is_object() ? parsed : Json::object();
}

Json addressesOf(const Json& document, const Json& item) {
  Json out = Json::array();
  for (const char* path : {"/spec/bgp/ipv4Address", "/spec/bgp/ipv6Address"}) {
    const auto address = textAt(document, Json::json_pointer(path));
    if (!address.empty()) out.push_back({{"address", address}, {"type", "CalicoNodeIP"}});
  }
  const Json::json_pointer addresses("/status/addresses");
  if (!item.contains(addresses) || !item[addresses].is_array()) return out;
  for (const auto& entry : item[addresses]) {
    const auto type = entry.value("type", "");
    if (type == "InternalIP" || type == "ExternalIP")
      out.push_back({{"address", entry.value("address", "")}, {"type", type}});
  }
  return out;
}

}  // namespace

std::string crdPath(const StoredKind& kind, const std::string& ns, const std::string& name) {
  std::string path = std::string("/apis/") + kCalicoGroup + "/";
  if (kind.namespaced && !ns.empty()) path += "namespaces/" + ns + "/";
  path += isIpamConfiguration(kind) ? std::string("ipamconfigs") : std::string(kind.plural);
  return name.empty() ? path : path + "/" + name;
}

std::string reversedUid(const std::string& uid) {
  std::string digits;
  for (const char c : uid) {
    if (c != '-') digits += c;
  }
  if (digits.size() != 32) return uid;
  std::string out;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits.substr(30 - 2 * i, 2);
  }
  return out;
}

Json documentOfCrd(const StoredKind& kind, Json item) {
  const Json kept = annotated(objectAt(item, "/metadata/annotations"), kMetadata);
  item["kind"] = std::string(kind.kindName);
  restoreCalicoMetadata(item);
  Json& metadata = item["metadata"];
  for (const char* field : {"creationTimestamp", "generateName", "ownerReferences", "finalizers"}) {
    if (kept.contains(field) && !kept[field].is_null()) metadata[field] = kept[field];
  }
  for (const char* field : {"managedFields", "generation", "selfLink"}) metadata.erase(field);
  if (metadata.contains("annotations") && metadata["annotations"].empty())
    metadata.erase("annotations");
  if (metadata.contains("uid") && metadata["uid"].is_string())
    metadata["uid"] = reversedUid(metadata["uid"].get<std::string>());
  item["apiVersion"] = "projectcalico.org/v3";
  return item;
}

Json crdOfDocument(const StoredKind& kind, Json document, const std::string& version) {
  Json& metadata = document["metadata"];
  Json kept = Json::object();
  for (const char* field : {"creationTimestamp", "generateName", "ownerReferences", "finalizers"}) {
    if (metadata.contains(field)) kept[field] = metadata[field];
  }
  const auto stored = metadata.value("name", "");
  const auto shown = std::string(nameForUsers(kind, stored));
  if (isTiered(kind)) kept["name"] = shown;
  Json sent = {{"name", stored}, {"annotations", objectAt(metadata, "/annotations")}};
  sent["annotations"][kMetadata] = kept.dump();
  for (const char* field : {"namespace", "labels"}) {
    if (metadata.contains(field)) sent[field] = metadata[field];
  }
  if (!version.empty()) sent["resourceVersion"] = version;
  metadata = std::move(sent);
  document["apiVersion"] = kCalicoGroup;
  document["kind"] =
      isIpamConfiguration(kind) ? std::string("IPAMConfig") : std::string(kind.kindName);
  return document;
}

Json documentOfNode(const Json& item) {
  const Json annotations = objectAt(item, "/metadata/annotations");
  const Json kubeLabels = objectAt(item, "/metadata/labels");
  const auto name = textAt(item, Json::json_pointer("/metadata/name"));
  Json document = {{"apiVersion", "projectcalico.org/v3"},
                   {"kind", "Node"},
                   {"metadata", {{"name", name}}},
                   {"spec", {{"orchRefs", {{{"nodeName", name}, {"orchestrator", "k8s"}}}}}},
                   {"status", Json::object()}};
  Json& metadata = document["metadata"];
  for (const char* field : {"uid", "creationTimestamp", "resourceVersion"}) {
    if (item["metadata"].contains(field)) metadata[field] = item["metadata"][field];
  }
  metadata["labels"] = annotated(annotations, kLabels);
  metadata["labels"].update(kubeLabels);
  metadata["annotations"] = annotated(annotations, kAnnotations);
  metadata["annotations"][kKubeLabels] = kubeLabels.dump();
  for (const auto& field : kNodeFields) {
    const auto value = textAt(annotations, Json::json_pointer("") / std::string(field.annotation));
    if (value.empty()) continue;
    const Json::json_pointer place(field.path);
    const auto as = parseAsNumber(value);
    if (place.back() != "asNumber")
      document[place] = value;
    else if (as)
      document[place] = *as;
  }
  document["spec"]["addresses"] = addressesOf(document, item);
  const Json::json_pointer podCidrs("/spec/podCIDRs");
  if (item.contains(podCidrs)) document["status"]["podCIDRs"] = item[podCidrs];
  return document;
}

Json nodePatch(const Json& document, const std::string& version) {
  const Json annotations = objectAt(document, "/metadata/annotations");
  const Json inherited = annotated(annotations, kKubeLabels);
  const Json all = objectAt(document, "/metadata/labels");
  Json labels = Json::object();
  for (const auto& [key, value] : all.items()) {
    if (!inherited.contains(key) || inherited[key] != value) labels[key] = value;
  }
  Json own = annotations;
  own.erase(kKubeLabels);
  Json patch = {{kLabels, nullptr}, {kAnnotations, nullptr}};
  if (!labels.empty()) patch[kLabels] = labels.dump();
  if (!own.empty()) patch[kAnnotations] = own.dump();
  for (const auto& field : kNodeFields) {
    const Json::json_pointer place(field.path);
    patch[field.annotation] = nullptr;
    if (!document.contains(place)) continue;
    const Json& value = document[place];
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!text.empty()) patch[field.annotation] = text;
  }
  return {{"metadata", {{"annotations", std::move(patch)}, {"resourceVersion", version}}}};
}

}  // namespace margay::api
