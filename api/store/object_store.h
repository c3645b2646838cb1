#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/etcd/stored_object.h"
#include "base/result.h"

namespace margay::api {

/// Calico's objects in a datastore as documents that users write and read: projectcalico.org/v3
/// with metadata.resourceVersion, policies without "default." before their names. What is written
/// is validated and gets the fields that Calico's own client sets. Any thread.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// `Errc::NotFound` if there is none.
  [[nodiscard]] Result<nlohmann::json> get(const StoredKind& kind, const std::string& ns,
                                           const std::string& name) const;
  /// By namespace and name. No namespace: of all. What is no JSON is left out.
  [[nodiscard]] virtual Result<std::vector<nlohmann::json>> list(
      const StoredKind& kind, const std::optional<std::string>& ns = {}) const = 0;

  /// Each writes one object, whose kind and name are the document's, and gives it back as stored.
  /// `Errc::Invalid`: the document is not valid, all reasons in one line. `Errc::Stale`: somebody
  /// else was faster. `Errc::Unsupported`: the datastore has it from elsewhere.
  /// create: `Errc::Stale` also if it exists. `Errc::NotFound`: a new policy's tier does not exist.
  [[nodiscard]] Result<nlohmann::json> create(const nlohmann::json& document) const;
  /// replace: `Errc::NotFound` if it does not exist; a resourceVersion must be the stored one.
  [[nodiscard]] Result<nlohmann::json> replace(const nlohmann::json& document) const;
  /// apply: creates it or takes the place of the stored one, whatever its resourceVersion.
  [[nodiscard]] Result<nlohmann::json> apply(const nlohmann::json& document) const;
  /// `Errc::NotFound` if there is none.
  [[nodiscard]] Result<void> remove(const StoredKind& kind, const std::string& ns,
                                    const std::string& name) const;

 protected:
  /// Where an object is, or would be.
  struct Place {
    const StoredKind* kind = nullptr;
    std::string key;         ///< the datastore's own
    std::string storedName;  ///< "default.allow"
    std::string version;     ///< empty: there is none
  };
  struct Found {
    Place place;
    std::shared_ptr<const nlohmann::json> document;  ///< as `get` gives it; null: there is none
  };
  [[nodiscard]] virtual Result<Found> find(const StoredKind& kind, const std::string& ns,
                                           const std::string& name) const = 0;
  /// Writes a document that is ready to be stored over the version that was found; the new version.
  [[nodiscard]] virtual Result<std::string> put(const Place& place,
                                                const nlohmann::json& document) const = 0;
  [[nodiscard]] virtual Result<void> erase(const Place& place) const = 0;

 private:
  enum class Mode { Create, Replace, Apply };
  [[nodiscard]] Result<nlohmann::json> write(const nlohmann::json& document, Mode mode) const;
  [[nodiscard]] Result<void> checkTier(const StoredKind& kind,
                                       const nlohmann::json& document) const;
};

/// What is stored for a valid document: with uid and creationTimestamp (of `before`, if that is an
/// object, else new ones), the stored name, and the defaults that Calico's client writes. No I/O.
[[nodiscard]] nlohmann::json storageForm(const StoredKind& kind, nlohmann::json document,
                                         const nlohmann::json& before);
/// What users see beside what is stored: the version, and a policy's tier as a label. Pure.
[[nodiscard]] nlohmann::json forUsers(const StoredKind& kind, nlohmann::json stored,
                                      const std::string& version);
/// "NetworkPolicy(shop/allow)"
[[nodiscard]] std::string titleOf(const StoredKind& kind, const std::string& ns,
                                  const std::string& name);

}  // namespace margay::api
