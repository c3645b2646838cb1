#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/etcd/etcd_client.h"
#include "api/etcd/stored_object.h"
#include "base/result.h"

namespace margay::api {

/// Calico's objects in etcd as documents that users write and read: projectcalico.org/v3 with
/// metadata.resourceVersion, policies without "default." before their names. What is written is
/// validated and gets the fields that Calico's own client sets. It refers to the client. Any
/// thread.
class EtcdObjects {
 public:
  /// Calls end with `Errc::Interrupted` when `stop` asks for it.
  explicit EtcdObjects(EtcdClient& client, std::stop_token stop = {})
      : client_(client), stop_(std::move(stop)) {}

  /// `Errc::NotFound` if there is none.
  Result<nlohmann::json> get(const StoredKind& kind, const std::string& ns,
                             const std::string& name) const;
  /// In the order of keys. No namespace: of all. What is no JSON is left out.
  Result<std::vector<nlohmann::json>> list(const StoredKind& kind,
                                           const std::optional<std::string>& ns = {}) const;

  /// Each writes one object, whose kind and name are the document's, and gives it back as stored.
  /// `Errc::Invalid`: the document is not valid, all reasons in one line. `Errc::Stale`: somebody
  /// else was faster.
  /// create: `Errc::Stale` also if it exists. `Errc::NotFound`: a new policy's tier does not exist.
  Result<nlohmann::json> create(const nlohmann::json& document) const;
  /// replace: `Errc::NotFound` if it does not exist; a resourceVersion must be the stored one.
  Result<nlohmann::json> replace(const nlohmann::json& document) const;
  /// apply: creates it or takes the place of the stored one, whatever its resourceVersion.
  Result<nlohmann::json> apply(const nlohmann::json& document) const;
  /// `Errc::NotFound` if there is none.
  Result<void> remove(const StoredKind& kind, const std::string& ns, const std::string& name) const;

 private:
  enum class Mode { Create, Replace, Apply };
  struct Place {
    std::string key;  ///< for a new one if there is none
    std::optional<EtcdKeyValue> value;
  };
  [[nodiscard]] Result<Place> find(const StoredKind& kind, const std::string& ns,
                                   const std::string& name) const;
  [[nodiscard]] Result<void> checkTier(const StoredKind& kind,
                                       const nlohmann::json& document) const;
  Result<nlohmann::json> write(const nlohmann::json& document, Mode mode) const;
  EtcdClient& client_;
  std::stop_token stop_;
};

/// What is stored for a valid document: with uid and creationTimestamp (of `before`, if that is an
/// object, else new ones), the stored name, and the defaults that Calico's client writes. No I/O.
[[nodiscard]] nlohmann::json storageForm(const StoredKind& kind, nlohmann::json document,
                                         const nlohmann::json& before);

}  // namespace margay::api
