#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

/// What calico-node puts into a datastore besides nodes and pools, so that its other programs find
/// it. Pure.
namespace margay::agent {

/// An object of which some fields have a value unless somebody gave them another one.
struct DefaultDocument {
  const char* kind;
  std::string name;
  const char* spec;       ///< JSON
  bool completes = true;  ///< an object that is there gets the fields that it lacks
};

/// Settings of all nodes and of this one; the default tiers.
[[nodiscard]] std::vector<DefaultDocument> defaultDocuments(const std::string& nodeName);

/// The object with what it lacks; `stored` (null if there is none) if that is nothing.
[[nodiscard]] nlohmann::json completed(const DefaultDocument& wanted, const nlohmann::json& stored);

}  // namespace margay::agent
