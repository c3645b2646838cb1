#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace margay::api {

struct Conversion {
  std::vector<nlohmann::ordered_json> objects;
  std::vector<std::string> warnings;  ///< objects, and parts of objects, that were left out
};

/// The projectcalico.org/v3 objects that Kubernetes objects turn into, in the order of the text
/// (YAML or JSON): NetworkPolicy under its own name, Namespace and ServiceAccount as Profile, Pod
/// as WorkloadEndpoint. Invalid when the text does not parse or nothing in it can be converted. Any
/// thread.
[[nodiscard]] Result<Conversion> convertKubernetes(std::string_view text);

}  // namespace margay::api
