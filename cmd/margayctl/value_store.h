#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "api/model/object.h"
#include "api/store/object_store.h"
#include "base/result.h"
#include "cmd/margayctl/api_config.h"
#include "cmd/margayctl/commands.h"

namespace margay::ctl {

/// Where the container verbs keep endpoints and profiles: the manifests of a directory, or
/// a datastore.
class ValueStore {
 public:
  virtual ~ValueStore() = default;
  virtual Result<std::optional<api::Value>> find(const api::ObjectKey& key) = 0;
  virtual Result<std::vector<api::Value>> list(api::Kind kind) = 0;
  /// A WorkloadEndpoint or a Profile.
  virtual Result<void> put(const api::Value& value) = 0;
  virtual Result<void> remove(const api::ObjectKey& key) = 0;
};

/// The one that DATASTORE_TYPE names.
Result<std::unique_ptr<ValueStore>> openValueStore(const Environment& env);

/// "file", "etcdv3" or "kubernetes", by DATASTORE_TYPE.
[[nodiscard]] std::string datastoreOf(const Variables& variables);
/// Calico's objects in the datastore that `variables` name; `Errc::Unsupported` says what to set
/// when that has none.
Result<std::unique_ptr<api::ObjectStore>> openObjectStore(const Variables& variables);

}  // namespace margay::ctl
