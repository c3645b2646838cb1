#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/json_reader.h"
#include "api/model/labels.h"
#include "api/model/object.h"

/// One decoder a kind. The metadata has been read and validated; what is wrong with the rest goes
/// to the reader's errors. Values are only meaningful when there were no errors.
namespace margay::api {

struct CalicoObject {
  JsonReader root;
  JsonReader metadata;
  JsonReader spec;
  std::string kindName;
  std::string ns;
  std::string name;
  LabelMap labels;
  std::vector<std::string>* warnings = nullptr;
};

[[nodiscard]] std::optional<Value> decodeNetworkPolicy(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeGlobalNetworkPolicy(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeTier(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeProfile(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeNetworkSet(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeIPPool(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeNode(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeClusterInformation(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeFelixConfiguration(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeWorkloadEndpoint(const CalicoObject& object);
/// Never a value.
[[nodiscard]] std::optional<Value> decodeHostEndpoint(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeStagedPolicy(const CalicoObject& object);
[[nodiscard]] std::optional<Value> decodeUnused(const CalicoObject& object);

}  // namespace margay::api
