#include "api/codec/kubernetes_decode.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/codec/json_reader.h"
#include "api/codec/validate_names.h"
#include "api/selector/effective.h"

namespace margay::api {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 12> kOtherCoreKinds{"Binding",
                                                           "ComponentStatus",
                                                           "ConfigMap",
                                                           "Endpoints",
                                                           "Event",
                                                           "LimitRange",
                                                           "PersistentVolume",
                                                           "PersistentVolumeClaim",
                                                           "PodTemplate",
                                                           "ReplicationController",
                                                           "ResourceQuota",
                                                           "Secret"};
constexpr std::array<std::string_view, 4> kOtherNetworkingKinds{"Ingress", "IngressClass",
                                                                "IPAddress", "ServiceCIDR"};
constexpr std::array<std::string_view, 5> kPlainGroups{"apps", "batch", "autoscaling", "policy",
                                                       "extensions"};

template <std::size_t N>
bool isOneOf(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// Labels of a namespace or service account with `prefix`, and its name under the prefixed name
/// label.
Labels prefixedLabels(const JsonReader& metadata, std::string_view prefix,
                      const std::string& name) {
  LabelMap labels;
  for (auto& [key, value] : metadata.stringMap("labels")) {
    labels.emplace_back(std::string(prefix) + key, std::move(value));
  }
  labels.emplace_back(std::string(prefix) + "projectcalico.org/name", name);
  return Labels(std::move(labels));
}

void setProfile(Decoded& out, Profile profile) {
  out.key = {Kind::Profile, {}, profile.name};
  if (out.errors.empty()) out.value = share(std::move(profile));
}

void decodeNamespace(const json& document, Decoded& out) {
  const JsonReader top(document, out.errors);
  const auto metadata = top.object("metadata");
  Profile profile{.name = "kns." + out.name};
  if (metadata) profile.labelsToApply = prefixedLabels(*metadata, kNamespaceLabelPrefix, out.name);
  profile.ingress.emplace_back();
  profile.egress.emplace_back();
  setProfile(out, std::move(profile));
}

void decodeServiceAccount(const json& document, Decoded& out) {
  const JsonReader top(document, out.errors);
  const auto metadata = top.object("metadata");
  Profile profile{.name = "ksa." + out.ns + "." + out.name};
  if (metadata)
    profile.labelsToApply = prefixedLabels(*metadata, kServiceAccountLabelPrefix, out.name);
  setProfile(out, std::move(profile));
}

std::string unknownKind(std::string_view apiVersion, std::string_view kind) {
  return "there is no kind " + std::string(kind) + " in " + std::string(apiVersion) +
         "; correct kind or apiVersion";
}

Kind clusterPolicyKind(const std::string& apiVersion, const std::string& kind, Decoded& out) {
  const auto is = [&](std::string_view version, std::string_view name) {
    return kind == name && endsWith(apiVersion, version);
  };
  if (is("/v1alpha2", "ClusterNetworkPolicy") || is("/v1beta1", "ClusterNetworkPolicy"))
    return Kind::ClusterNetworkPolicy;
  if (is("/v1alpha1", "AdminNetworkPolicy")) return Kind::AdminNetworkPolicy;
  if (is("/v1alpha1", "BaselineAdminNetworkPolicy")) return Kind::BaselineAdminNetworkPolicy;
  out.errors.push_back({"kind", unknownKind(apiVersion, kind)});
  return Kind::Unknown;
}

bool isClusterWide(Kind kind) {
  return kind == Kind::Namespace || kind == Kind::Node || kind == Kind::ClusterNetworkPolicy ||
         kind == Kind::AdminNetworkPolicy || kind == Kind::BaselineAdminNetworkPolicy;
}

/// The kind as the decoder knows it; an error for what is not ours and not known to be harmless.
Kind kindOf(const std::string& apiVersion, const std::string& kind, Decoded& out) {
  const auto slash = apiVersion.find('/');
  const std::string group =
      slash == std::string::npos ? std::string() : apiVersion.substr(0, slash);
  if (apiVersion == "v1") {
    if (kind == "Pod") return Kind::Pod;
    if (kind == "Namespace") return Kind::Namespace;
    if (kind == "ServiceAccount") return Kind::ServiceAccount;
    if (kind == "Node") return Kind::Node;
    if (kind == "Service") return Kind::Service;
    if (!isOneOf(kind, kOtherCoreKinds))
      out.errors.push_back({"kind", unknownKind(apiVersion, kind)});
  } else if (group == "networking.k8s.io") {
    if (kind == "NetworkPolicy" && apiVersion == "networking.k8s.io/v1")
      return Kind::KubernetesNetworkPolicy;
    if (!isOneOf(kind, kOtherNetworkingKinds))
      out.errors.push_back({"kind", unknownKind(apiVersion, kind)});
  } else if (group == "discovery.k8s.io") {
    if (kind == "EndpointSlice" &&
        (endsWith(apiVersion, "/v1") || endsWith(apiVersion, "/v1beta1"))) {
      return Kind::EndpointSlice;
    }
    out.errors.push_back({"kind", unknownKind(apiVersion, kind)});
  } else if (group == "policy.networking.k8s.io") {
    return clusterPolicyKind(apiVersion, kind, out);
  } else if (group == "extensions" && kind == "NetworkPolicy") {
    out.errors.push_back({"apiVersion", "write networking.k8s.io/v1"});
  } else if (!isOneOf(group, kPlainGroups) && !endsWith(group, ".k8s.io")) {
    out.errors.push_back(
        {"apiVersion", "objects of " + apiVersion +
                           " are not known here; correct apiVersion or remove the object"});
  }
  return Kind::Unknown;
}

/// Name and namespace, and what is wrong with them for kinds that we use.
void readIdentity(const json& document, Kind kind, Decoded& out) {
  const bool checks = kind != Kind::Unknown;
  std::vector<FieldError> ignored;
  auto& errors = checks ? out.errors : ignored;
  const JsonReader top(document, errors);
  const auto metadata = top.object("metadata");
  if (metadata) {
    out.name = metadata->stringOr("name", "");
    out.ns = metadata->stringOr("namespace", "");
  }
  if (!checks) return;
  if (out.name.empty()) {
    errors.push_back({"metadata.name", "an object needs a name"});
  } else if (const auto problem = nameProblem(out.name)) {
    errors.push_back({"metadata.name", *problem});
  }
  if (isClusterWide(kind)) {
    out.ns.clear();
  } else if (out.ns.empty()) {
    out.ns = "default";
  } else if (const auto problem = nameProblem(out.ns)) {
    errors.push_back({"metadata.namespace", *problem});
  }
}

}  // namespace

ProfileNames EndpointPools::profiles(std::string_view ns, std::string_view account) {
  const std::string key = std::string(ns) + '/' + std::string(account);
  if (const auto* known = find<ProfileNames>(key)) return *known;
  std::vector<std::string> names{"kns." + std::string(ns)};
  if (!account.empty()) names.push_back("ksa." + std::string(ns) + "." + std::string(account));
  return keep<ProfileNames>(key, share(std::move(names)));
}

Decoded KubernetesDecoder::decode(const json& document) {
  Decoded out;
  const JsonReader top(document, out.errors);
  const std::string apiVersion = top.stringOr("apiVersion", "");
  out.kindName = top.stringOr("kind", "");
  if (apiVersion.empty()) out.errors.push_back({"apiVersion", "an object needs an apiVersion"});
  if (out.kindName.empty()) out.errors.push_back({"kind", "an object needs a kind"});
  const Kind kind = out.errors.empty() ? kindOf(apiVersion, out.kindName, out) : Kind::Unknown;
  readIdentity(document, kind, out);
  out.key = {kind, pools_.string(out.ns), out.name};
  switch (kind) {
    case Kind::Pod:
      decodePod(document, pools_, out);
      break;
    case Kind::Namespace:
      decodeNamespace(document, out);
      break;
    case Kind::ServiceAccount:
      decodeServiceAccount(document, out);
      break;
    case Kind::Node:
      decodeKubernetesNode(document, out);
      break;
    case Kind::Service:
      decodeService(document, out);
      break;
    case Kind::EndpointSlice:
      decodeEndpointSlice(document, out);
      break;
    case Kind::KubernetesNetworkPolicy:
      decodeKubernetesPolicy(document, out);
      break;
    case Kind::ClusterNetworkPolicy:
    case Kind::AdminNetworkPolicy:
    case Kind::BaselineAdminNetworkPolicy:
      decodeClusterPolicy(document, out);
      break;
    default:
      break;
  }
  return out;
}

}  // namespace margay::api
