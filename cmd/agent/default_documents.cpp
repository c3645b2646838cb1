#include "cmd/agent/default_documents.h"

#include <nlohmann/json.hpp>

namespace margay::agent {

using Json = nlohmann::json;

std::vector<DefaultDocument> defaultDocuments(const std::string& nodeName) {
  return {
      {"FelixConfiguration", "default", R"({"reportingInterval":"0s","logSeverityScreen":"Info"})"},
      {"FelixConfiguration", "node." + nodeName, R"({"defaultEndpointToHostAction":"Return"})"},
      {"BGPConfiguration", "default", "{}"},
      {"Tier", "default", R"({"order":1000000,"defaultAction":"Deny"})", false},
      {"Tier", "kube-admin", R"({"order":1000,"defaultAction":"Pass"})", false},
      {"Tier", "kube-baseline", R"({"order":10000000,"defaultAction":"Pass"})", false},
  };
}

Json completed(const DefaultDocument& wanted, const Json& stored) {
  const bool exists = stored.is_object();
  if (exists && !wanted.completes) return stored;
  Json out = stored;
  if (!exists) {
    out = {{"apiVersion", "projectcalico.org/v3"},
           {"kind", wanted.kind},
           {"metadata", {{"name", wanted.name}}}};
  }
  Json& spec = out["spec"];
  if (!spec.is_object()) spec = Json::object();
  const auto defaults = Json::parse(wanted.spec);
  for (const auto& [field, value] : defaults.items()) {
    if (!spec.contains(field)) spec[field] = value;
  }
  return out;
}

}  // namespace margay::agent
