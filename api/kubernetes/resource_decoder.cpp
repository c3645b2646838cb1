#include "api/kubernetes/resource_decoder.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "api/codec/calico_decode.h"

namespace margay::api {
namespace {

using nlohmann::json;

constexpr const char* kMetadataAnnotation = "projectcalico.org/metadata";
constexpr std::string_view kDefaultTier = "default.";

/// The member if it has that type, else null pointer.
json* member(json& object, const char* name, json::value_t type) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found != object.end() && found->type() == type ? &*found : nullptr;
}

std::string textOf(json& object, const char* name) {
  const json* found = member(object, name, json::value_t::string);
  return found == nullptr ? std::string() : found->get<std::string>();
}

void addPairs(json& metadata, const char* name, json& kept) {
  const json* more = member(kept, name, json::value_t::object);
  if (more == nullptr) return;
  json& into = metadata[name];
  if (!into.is_object()) into = json::object();
  into.update(*more);
}

/// What the annotation keeps; it is no longer an annotation after this. None: a null value.
json takeKept(json& metadata) {
  json* annotations = member(metadata, "annotations", json::value_t::object);
  if (annotations == nullptr) return {};
  const std::string text = textOf(*annotations, kMetadataAnnotation);
  annotations->erase(kMetadataAnnotation);
  return json::parse(text, nullptr, false);
}

bool isInDefaultTier(json& object) {
  json* spec = member(object, "spec", json::value_t::object);
  const std::string tier = spec == nullptr ? "" : textOf(*spec, "tier");
  return tier.empty() || tier == "default";
}

}  // namespace

void restoreCalicoMetadata(json& object) {
  json* metadata = member(object, "metadata", json::value_t::object);
  if (metadata == nullptr) return;
  json kept = takeKept(*metadata);
  addPairs(*metadata, "labels", kept);
  addPairs(*metadata, "annotations", kept);
  const std::string kind = textOf(object, "kind");
  if (kind != "NetworkPolicy" && kind != "GlobalNetworkPolicy") return;
  std::string name = textOf(kept, "name");
  if (name.empty()) {
    name = textOf(*metadata, "name");
    if (name.starts_with(kDefaultTier) && isInDefaultTier(object))
      name.erase(0, kDefaultTier.size());
  }
  (*metadata)["name"] = name;
}

Decoded ResourceDecoder::decode(const KubernetesResource& resource, json& item) {
  if (!item.contains("kind")) item["kind"] = std::string(resource.kindName);
  if (!item.contains("apiVersion"))
    item["apiVersion"] = std::string(resource.groupVersions.front());
  if (!isCalicoApiVersion(textOf(item, "apiVersion"))) return kubernetes_.decode(item);
  if (textOf(item, "apiVersion") != "projectcalico.org/v3") restoreCalicoMetadata(item);
  return decodeCalico(item, UnknownFields::Ignored);
}

}  // namespace margay::api
