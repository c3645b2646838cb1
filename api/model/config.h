#pragma once

#include <map>
#include <optional>
#include <string>

namespace margay::api {

/// FelixConfiguration: `default`, or `node.<name>`. Values as text, lists joined with commas,
/// durations and booleans as Felix's environment variables write them. Keys are the field names,
/// lower case.
struct FelixConfiguration {
  std::string name;
  std::map<std::string, std::string> parameters;
  bool operator==(const FelixConfiguration&) const = default;
};

struct ClusterInformation {
  std::string name;
  std::optional<bool> datastoreReady;
  std::string clusterGuid;
  std::string clusterType;
  std::string calicoVersion;
  bool operator==(const ClusterInformation&) const = default;
};

}  // namespace margay::api
