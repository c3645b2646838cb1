#include "api/etcd/stored_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"

namespace margay::api {
namespace {

constexpr std::string_view kDefaultTier = "default.";

bool startsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// The string at metadata.`field`; null pointer if there is none.
nlohmann::json::string_t* metadataText(nlohmann::json& document, const char* field) {
  if (!document.is_object()) return nullptr;
  const auto metadata = document.find("metadata");
  if (metadata == document.end() || !metadata->is_object()) return nullptr;
  const auto found = metadata->find(field);
  if (found == metadata->end()) return nullptr;
  return found->get_ptr<nlohmann::json::string_t*>();
}

void checkPlace(const StoredKey& key, const std::string& name, Decoded& decoded) {
  if (decoded.kindName != key.kind->kindName)
    decoded.errors.push_back({"kind", "'" + decoded.kindName + "' is stored under a key of " +
                                          std::string(key.kind->kindName) +
                                          "; write the object again"});
  if (decoded.name != name)
    decoded.errors.push_back({"metadata.name", "'" + decoded.name + "' is stored under the name '" +
                                                   name + "'; write the object again"});
  if (key.kind->namespaced && decoded.ns != key.ns)
    decoded.errors.push_back(
        {"metadata.namespace", "'" + decoded.ns + "' is stored under the namespace '" +
                                   std::string(key.ns) + "'; write the object again"});
}

}  // namespace

const std::vector<StoredKind>& storedKinds() {
  static const std::vector<StoredKind> kKinds = {
      {"BGPConfiguration", "bgpconfigurations", Kind::Unknown, false},
      {"BGPFilter", "bgpfilters", Kind::Unknown, false},
      {"BGPPeer", "bgppeers", Kind::Unknown, false},
      {"BlockAffinity", "blockaffinities", Kind::Unknown, false},
      {"CalicoNodeStatus", "caliconodestatuses", Kind::Unknown, false},
      {"ClusterInformation", "clusterinformations", Kind::ClusterInformation, false},
      {"FelixConfiguration", "felixconfigurations", Kind::FelixConfiguration, false},
      {"GlobalNetworkPolicy", "globalnetworkpolicies", Kind::GlobalNetworkPolicy, false},
      {"GlobalNetworkSet", "globalnetworksets", Kind::GlobalNetworkSet, false},
      {"HostEndpoint", "hostendpoints", Kind::HostEndpoint, false},
      {"IPAMConfig", "ipamconfigs", Kind::Unknown, false},
      {"IPAMConfiguration", "ipamconfigurations", Kind::Unknown, false},
      {"IPPool", "ippools", Kind::IPPool, false},
      {"IPReservation", "ipreservations", Kind::Unknown, false},
      {"KubeControllersConfiguration", "kubecontrollersconfigurations", Kind::Unknown, false},
      {"LiveMigration", "livemigrations", Kind::Unknown, true},
      {"NetworkPolicy", "networkpolicies", Kind::NetworkPolicy, true},
      {"NetworkSet", "networksets", Kind::NetworkSet, true},
      {"Node", "nodes", Kind::Node, false},
      {"Profile", "profiles", Kind::Profile, false},
      {"StagedGlobalNetworkPolicy", "stagedglobalnetworkpolicies", Kind::Unknown, false},
      {"StagedKubernetesNetworkPolicy", "stagedkubernetesnetworkpolicies", Kind::Unknown, true},
      {"StagedNetworkPolicy", "stagednetworkpolicies", Kind::Unknown, true},
      {"Tier", "tiers", Kind::Tier, false},
      {"WorkloadEndpoint", "workloadendpoints", Kind::WorkloadEndpoint, true},
  };
  return kKinds;
}

const StoredKind* storedKindOfPlural(std::string_view plural) {
  const auto& kinds = storedKinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const StoredKind& kind) { return kind.plural == plural; });
  return found == kinds.end() ? nullptr : &*found;
}

const StoredKind* storedKindNamed(std::string_view kindName) {
  const auto& kinds = storedKinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const StoredKind& kind) {
    return kind.kindName == kindName;
  });
  return found == kinds.end() ? nullptr : &*found;
}

std::optional<StoredKey> parseStoredKey(std::string_view key) {
  if (!startsWith(key, kResourcePrefix)) return std::nullopt;
  key.remove_prefix(kResourcePrefix.size());
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  StoredKey out{.kind = storedKindOfPlural(key.substr(0, slash)), .ns = {}, .name = {}};
  if (out.kind == nullptr) return std::nullopt;
  key.remove_prefix(slash + 1);
  if (out.kind->namespaced) {
    const auto next = key.find('/');
    if (next == std::string_view::npos) return std::nullopt;
    out.ns = key.substr(0, next);
    key.remove_prefix(next + 1);
  }
  out.name = key;
  if (out.name.empty() || out.name.find('/') != std::string_view::npos) return std::nullopt;
  return out;
}

std::string storedKeyOf(const StoredKind& kind, std::string_view ns, std::string_view name) {
  std::string key(kResourcePrefix);
  key += kind.plural;
  key += '/';
  if (kind.namespaced) {
    key += ns;
    key += '/';
  }
  return key + nameInStore(kind, name);
}

bool isTiered(const StoredKind& kind) {
  return kind.kind == Kind::NetworkPolicy || kind.kind == Kind::GlobalNetworkPolicy ||
         kind.kindName == "StagedNetworkPolicy" || kind.kindName == "StagedGlobalNetworkPolicy";
}

std::string nameInStore(const StoredKind& kind, std::string_view name) {
  const bool asIs = !isTiered(kind) || name.find('.') != std::string_view::npos;
  return asIs ? std::string(name) : std::string(kDefaultTier).append(name);
}

std::vector<std::string> possibleKeysOf(const StoredKind& kind, std::string_view ns,
                                        std::string_view name) {
  std::vector<std::string> out = {storedKeyOf(kind, ns, name)};
  if (!isTiered(kind)) return out;
  const std::string folder = out[0].substr(0, out[0].rfind('/') + 1);
  const std::string plain = folder + std::string(name);
  const std::string prefixed = folder + std::string(kDefaultTier).append(name);
  out.push_back(out[0] == plain ? prefixed : plain);
  return out;
}

std::string_view nameForUsers(const StoredKind& kind, std::string_view stored) {
  if (isTiered(kind) && startsWith(stored, kDefaultTier)) stored.remove_prefix(kDefaultTier.size());
  return stored;
}

nlohmann::json parseStored(const StoredKey& key, std::string_view text) {
  auto document = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (auto* name = metadataText(document, "name"))
    *name = std::string(nameForUsers(*key.kind, *name));
  return document;
}

Decoded decodeStored(const StoredKey& key, std::string_view text) {
  const auto document = parseStored(key, text);
  const std::string name(nameForUsers(*key.kind, key.name));
  Decoded decoded;
  if (document.is_discarded()) {
    decoded.errors.push_back({"", "the stored value is no JSON; write the object again"});
  } else {
    decoded = decodeCalico(document, UnknownFields::Ignored);
    if (!document.is_object() || decoded.errors.empty()) checkPlace(key, name, decoded);
  }
  decoded.key = {key.kind->kind, std::string(key.ns), name};
  decoded.kindName = key.kind->kindName;
  decoded.ns = key.ns;
  decoded.name = name;
  if (!decoded.errors.empty()) decoded.value.reset();
  return decoded;
}

}  // namespace margay::api
