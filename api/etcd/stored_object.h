#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/decoded.h"
#include "api/model/object.h"

/// How Calico keeps its objects in etcd: the v3 object as JSON under a key of its kind, namespace
/// and name. Any thread.
namespace margay::api {

inline constexpr std::string_view kResourcePrefix = "/calico/resources/v3/projectcalico.org/";
/// Label of policies that names their tier; missing means "default".
inline constexpr const char* kTierLabel = "projectcalico.org/tier";

/// A kind of projectcalico.org/v3 as it is stored.
struct StoredKind {
  std::string_view kindName;  ///< "NetworkPolicy"
  std::string_view plural;    ///< "networkpolicies", as in keys
  Kind kind;                  ///< Unknown: kept for others, of no effect here
  bool namespaced;
};
[[nodiscard]] const std::vector<StoredKind>& storedKinds();
/// Null pointer for what is none.
[[nodiscard]] const StoredKind* storedKindOfPlural(std::string_view plural);
[[nodiscard]] const StoredKind* storedKindNamed(std::string_view kindName);

/// What a key says.
struct StoredKey {
  const StoredKind* kind = nullptr;
  std::string_view ns;
  std::string_view name;  ///< as stored; refers to the key
};
/// None for keys that are no object of a kind we know.
[[nodiscard]] std::optional<StoredKey> parseStoredKey(std::string_view key);
/// `name` as users write it.
[[nodiscard]] std::string storedKeyOf(const StoredKind& kind, std::string_view ns,
                                      std::string_view name);

/// Every key that the object may be stored under, the one for new objects first: older versions of
/// Calico put "default." before names that have a dot already, newer ones before no name.
[[nodiscard]] std::vector<std::string> possibleKeysOf(const StoredKind& kind, std::string_view ns,
                                                      std::string_view name);

/// Whether its objects are policies of a tier.
[[nodiscard]] bool isTiered(const StoredKind& kind);
/// Names of policies begin with that of their tier, "TIER.NAME"; those without a dot are stored
/// with "default." before them. Other kinds keep their names.
[[nodiscard]] std::string nameInStore(const StoredKind& kind, std::string_view name);
[[nodiscard]] std::string_view nameForUsers(const StoredKind& kind, std::string_view stored);

/// The object as users see it (the policy's name without "default."); a discarded value if `text`
/// is no JSON.
[[nodiscard]] nlohmann::json parseStored(const StoredKey& key, std::string_view text);

/// Decodes what is stored under a key. What does not belong there is an error; the key is that of
/// the stored key even then.
[[nodiscard]] Decoded decodeStored(const StoredKey& key, std::string_view text);

}  // namespace margay::api
