#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "api/model/object.h"

namespace margay::api {

/// projectcalico.org/v3 objects of values: apiVersion, kind, metadata, spec in this order;
/// decodeCalico gives equal values of them. Any thread.
[[nodiscard]] nlohmann::ordered_json encodePolicy(const Policy& policy);
[[nodiscard]] nlohmann::ordered_json encodeProfile(const Profile& profile);
[[nodiscard]] nlohmann::ordered_json encodeWorkloadEndpoint(const WorkloadEndpoint& endpoint);
/// One of these; no value for other kinds of values.
[[nodiscard]] std::optional<nlohmann::ordered_json> encodeCalico(const Value& value);

/// A YAML document with a line break at the end, without "---". Strings that would read as
/// something else are quoted.
[[nodiscard]] std::string yamlText(const nlohmann::ordered_json& document);

}  // namespace margay::api
