#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace margay::api {

/// The string in field `name` of an object; empty if there is none. It refers to the object.
[[nodiscard]] inline std::string_view textAt(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return {};
  return found->get_ref<const std::string&>();
}

/// The same in its metadata.
[[nodiscard]] inline std::string_view metadataText(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto metadata = object.find("metadata");
  return metadata == object.end() ? std::string_view() : textAt(*metadata, name);
}

}  // namespace margay::api
