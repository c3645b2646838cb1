#include "api/codec/calico_decode.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/codec/calico_kinds.h"
#include "api/codec/calico_metadata.h"
#include "api/codec/validate_names.h"

namespace margay::api {
namespace {

enum class Scope : std::uint8_t { Cluster, Namespaced };

struct KindEntry {
  std::string_view name;
  Kind kind;
  Scope scope;
  std::optional<std::string> (*nameProblem)(std::string_view);
  std::optional<Value> (*decode)(const CalicoObject&);
};

constexpr std::array<KindEntry, 29> kKinds = {{
    {"NetworkPolicy", Kind::NetworkPolicy, Scope::Namespaced, networkPolicyNameProblem,
     decodeNetworkPolicy},
    {"GlobalNetworkPolicy", Kind::GlobalNetworkPolicy, Scope::Cluster,
     globalNetworkPolicyNameProblem, decodeGlobalNetworkPolicy},
    {"Tier", Kind::Tier, Scope::Cluster, tierNameProblem, decodeTier},
    {"Profile", Kind::Profile, Scope::Cluster, profileNameProblem, decodeProfile},
    {"NetworkSet", Kind::NetworkSet, Scope::Namespaced, nameProblem, decodeNetworkSet},
    {"GlobalNetworkSet", Kind::GlobalNetworkSet, Scope::Cluster, nameProblem, decodeNetworkSet},
    {"IPPool", Kind::IPPool, Scope::Cluster, nameProblem, decodeIPPool},
    {"FelixConfiguration", Kind::FelixConfiguration, Scope::Cluster, nameProblem,
     decodeFelixConfiguration},
    {"ClusterInformation", Kind::ClusterInformation, Scope::Cluster, nameProblem,
     decodeClusterInformation},
    {"Node", Kind::Node, Scope::Cluster, nameProblem, decodeNode},
    {"WorkloadEndpoint", Kind::WorkloadEndpoint, Scope::Namespaced, nameProblem,
     decodeWorkloadEndpoint},
    {"HostEndpoint", Kind::HostEndpoint, Scope::Cluster, nameProblem, decodeHostEndpoint},
    {"StagedNetworkPolicy", Kind::Unknown, Scope::Namespaced, networkPolicyNameProblem,
     decodeStagedPolicy},
    {"StagedGlobalNetworkPolicy", Kind::Unknown, Scope::Cluster, globalNetworkPolicyNameProblem,
     decodeStagedPolicy},
    {"StagedKubernetesNetworkPolicy", Kind::Unknown, Scope::Namespaced, nameProblem,
     decodeStagedPolicy},
    {"BGPConfiguration", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"BGPFilter", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"BGPPeer", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"BlockAffinity", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"CalicoNodeStatus", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"IPAMBlock", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"IPAMConfig", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"IPAMConfiguration", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"IPAMHandle", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"IPReservation", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"KubeControllersConfiguration", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"LiveMigration", Kind::Unknown, Scope::Namespaced, nameProblem, decodeUnused},
    {"QoSPolicy", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
    {"DatastoreMigration", Kind::Unknown, Scope::Cluster, nameProblem, decodeUnused},
}};

const KindEntry* findKind(std::string_view name) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(),
                                  [&](const KindEntry& entry) { return entry.name == name; });
  return found == kKinds.end() ? nullptr : &*found;
}

void readNamespace(const JsonReader& metadata, const KindEntry& entry, Decoded& decoded) {
  decoded.ns = metadata.stringOr("namespace", "");
  if (entry.scope == Scope::Cluster) {
    if (!decoded.ns.empty()) {
      metadata.error("namespace", decoded.kindName + " has no namespace; remove this field");
    }
    return;
  }
  if (decoded.ns.empty()) decoded.ns = "default";
  if (auto problem = nameProblem(decoded.ns)) metadata.error("namespace", std::move(*problem));
}

void readName(const JsonReader& metadata, const KindEntry& entry, Decoded& decoded) {
  decoded.name = metadata.stringOr("name", "");
  if (decoded.name.empty()) {
    if (!metadata.has("name") || metadata.raw("name")->is_string())
      metadata.error("name", "is missing; give the object a name");
    return;
  }
  if (auto problem = entry.nameProblem(decoded.name)) metadata.error("name", std::move(*problem));
}

/// An object that stands in for one that is absent, so that what it must have is reported as
/// missing.
const nlohmann::json& emptyObject() {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  return kEmpty;
}

void decodeObject(const JsonReader& root, const KindEntry& entry, Decoded& decoded) {
  const auto metadata = root.object("metadata");
  if (!metadata) {
    if (!root.has("metadata")) root.error("metadata.name", "is missing; give the object a name");
    return;
  }
  metadata->onlyFields({"name", "namespace", "labels", "annotations", "generateName", "uid",
                        "resourceVersion", "creationTimestamp", "deletionTimestamp",
                        "deletionGracePeriodSeconds", "generation", "ownerReferences", "finalizers",
                        "managedFields", "selfLink", "clusterName"});
  readName(*metadata, entry, decoded);
  readNamespace(*metadata, entry, decoded);
  decoded.key = {entry.kind, decoded.ns, decoded.name};
  checkAnnotations(*metadata);
  LabelMap labels = readLabels(*metadata, "labels");

  const auto spec = root.object("spec");
  if (!spec && root.has("spec")) return;
  CalicoObject object{
      .root = root,
      .metadata = *metadata,
      .spec =
          spec ? *spec : JsonReader(emptyObject(), decoded.errors, UnknownFields::Errors, "spec"),
      .kindName = decoded.kindName,
      .ns = decoded.ns,
      .name = decoded.name,
      .labels = std::move(labels),
      .warnings = &decoded.warnings};
  auto value = entry.decode(object);
  if (decoded.errors.empty()) decoded.value = std::move(value);
}

}  // namespace

bool isCalicoApiVersion(std::string_view apiVersion) {
  return apiVersion == "projectcalico.org/v3" || apiVersion == "crd.projectcalico.org/v1";
}

Decoded decodeCalico(const nlohmann::json& document, UnknownFields unknown) {
  Decoded decoded;
  const JsonReader root(document, decoded.errors, unknown);
  if (!document.is_object()) return decoded;
  root.onlyFields({"apiVersion", "kind", "metadata", "spec", "status"});
  const std::string apiVersion = root.stringOr("apiVersion", "");
  if (!isCalicoApiVersion(apiVersion)) {
    root.error("apiVersion", "'" + apiVersion + "' is not known; use projectcalico.org/v3");
  }
  decoded.kindName = root.stringOr("kind", "");
  const KindEntry* entry = findKind(decoded.kindName);
  if (entry == nullptr) {
    root.error("kind", decoded.kindName.empty()
                           ? "is missing; for example NetworkPolicy"
                           : "'" + decoded.kindName + "' is no kind of projectcalico.org/v3");
    return decoded;
  }
  decodeObject(root, *entry, decoded);
  return decoded;
}

}  // namespace margay::api
