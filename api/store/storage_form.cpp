#include <nlohmann/json.hpp>
#include <random>

#include "api/codec/as_number.h"
#include "api/store/object_store.h"
#include "base/utc_time.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

/// RFC 4122, version 4.
std::string newUid() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string out = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : out) {
    const auto bits = random() & 15U;
    if (c == 'x') c = kDigits[bits];
    if (c == 'y') c = kDigits[8U | (bits & 3U)];
  }
  return out;
}

void setIfMissing(Json& object, const char* field, Json value) {
  if (!object.contains(field) || object[field].is_null()) object[field] = std::move(value);
}

void policyTypes(Json& spec) {
  if (spec.contains("types") && spec["types"].is_array() && !spec["types"].empty()) return;
  const auto has = [&](const char* field) {
    return spec.contains(field) && spec[field].is_array() && !spec[field].empty();
  };
  if (!has("egress"))
    spec["types"] = {"Ingress"};
  else if (!has("ingress"))
    spec["types"] = {"Egress"};
  else
    spec["types"] = {"Ingress", "Egress"};
}

/// By which Calico finds the policies of a tier.
void tierLabel(Json& document) {
  const auto tier = document["spec"].value("tier", "");
  if (tier.empty() || tier == "default") return;
  Json& labels = document["metadata"]["labels"];
  if (!labels.is_object()) labels = Json::object();
  labels[kTierLabel] = tier;
}

void poolDefaults(Json& spec) {
  const bool six = spec.value("cidr", "").find(':') != std::string::npos;
  if (!spec.contains("blockSize") || spec["blockSize"] == 0) spec["blockSize"] = six ? 122 : 26;
  setIfMissing(spec, "ipipMode", "Never");
  setIfMissing(spec, "vxlanMode", "Never");
  setIfMissing(spec, "nodeSelector", "all()");
  setIfMissing(spec, "allowedUses", {"Workload", "Tunnel"});
}

/// Written with a dot, it is stored as one number.
void plainAsNumber(Json& place) {
  if (!place.is_object() || !place.contains("asNumber")) return;
  if (const auto number = readAsNumber(place["asNumber"])) place["asNumber"] = *number;
}

/// So that policies of a namespace find the endpoint, whoever reads it.
void endpointLabels(Json& document) {
  Json& metadata = document["metadata"];
  if (!metadata.contains("labels") || !metadata["labels"].is_object())
    metadata["labels"] = Json::object();
  Json& labels = metadata["labels"];
  labels["projectcalico.org/namespace"] = metadata.value("namespace", "default");
  labels["projectcalico.org/orchestrator"] = document["spec"].value("orchestrator", "");
  const std::string account = document["spec"].value("serviceAccountName", "");
  if (!account.empty()) labels["projectcalico.org/serviceaccount"] = account;
}

}  // namespace

Json storageForm(const StoredKind& kind, Json document, const Json& before) {
  document["apiVersion"] = "projectcalico.org/v3";
  Json& metadata = document["metadata"];
  metadata["name"] = nameInStore(kind, metadata.value("name", ""));
  if (kind.namespaced) setIfMissing(metadata, "namespace", "default");
  for (const char* field : {"resourceVersion", "selfLink", "generation", "managedFields"})
    metadata.erase(field);
  const Json kept = before.is_object() ? before.value("metadata", Json::object()) : Json::object();
  metadata["uid"] = kept.contains("uid") ? kept["uid"] : Json(newUid());
  metadata["creationTimestamp"] =
      kept.contains("creationTimestamp") ? kept["creationTimestamp"] : Json(utcTime());
  if (!document.contains("spec") || !document["spec"].is_object())
    document["spec"] = Json::object();
  if (kind.kind == Kind::NetworkPolicy || kind.kind == Kind::GlobalNetworkPolicy)
    policyTypes(document["spec"]);
  if (isTiered(kind)) tierLabel(document);
  plainAsNumber(document["spec"]);
  if (document["spec"].contains("bgp")) plainAsNumber(document["spec"]["bgp"]);
  if (kind.kind == Kind::IPPool) poolDefaults(document["spec"]);
  if (kind.kind == Kind::WorkloadEndpoint) endpointLabels(document);
  return document;
}

}  // namespace margay::api
