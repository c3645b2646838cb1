#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "api/etcd/etcd_client.h"
#include "api/model/object.h"
#include "base/result.h"
#include "cmd/margayctl/commands.h"

namespace margay::ctl {

/// Where the container verbs keep endpoints and profiles: the manifests of a directory, or etcd.
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

/// A client of the etcd that ETCD_* names; `Errc::Unsupported` says what to set when DATASTORE_TYPE
/// is another one.
Result<std::unique_ptr<api::EtcdClient>> openEtcd();
/// DATASTORE_TYPE is etcdv3.
[[nodiscard]] bool usesEtcd();

}  // namespace margay::ctl
