#include "api/etcd/etcd_objects.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace margay::api {
namespace {

using Json = nlohmann::json;

/// Null for what is no object.
std::shared_ptr<Json> documentOf(const EtcdKeyValue& kv) {
  const auto key = parseStoredKey(kv.key);
  if (!key) return nullptr;
  auto document = parseStored(*key, kv.value);
  if (!document.is_object() || !document["metadata"].is_object()) return nullptr;
  return std::make_shared<Json>(
      forUsers(*key->kind, std::move(document), std::to_string(kv.modRevision)));
}

/// 0: there is none.
std::int64_t revisionOf(const std::string& version) {
  std::int64_t revision = 0;
  std::from_chars(version.data(), version.data() + version.size(), revision);
  return revision;
}

}  // namespace

Result<ObjectStore::Found> EtcdObjects::find(const StoredKind& kind, const std::string& ns,
                                             const std::string& name) const {
  const auto keys = possibleKeysOf(kind, ns, name);
  const auto placeAt = [&](const std::string& key) {
    return Place{.kind = &kind, .key = key, .storedName = key.substr(key.rfind('/') + 1)};
  };
  for (const auto& key : keys) {
    const auto found = client_->get(key, stop_);
    if (!found) return Fail(found.error());
    if (!*found) continue;
    auto place = placeAt(key);
    place.version = std::to_string((*found)->modRevision);
    return Found{std::move(place), documentOf(**found)};
  }
  return Found{placeAt(keys.front()), nullptr};
}

Result<std::vector<Json>> EtcdObjects::list(const StoredKind& kind,
                                            const std::optional<std::string>& ns) const {
  std::string prefix = std::string(kResourcePrefix).append(kind.plural) + "/";
  if (kind.namespaced && ns) prefix += *ns + "/";
  std::vector<Json> out;
  auto listed = client_->list(
      prefix,
      [&](EtcdKeyValue& kv) {
        if (auto document = documentOf(kv)) out.push_back(std::move(*document));
      },
      stop_);
  if (!listed) return Fail(listed.error());
  return out;
}

Result<std::string> EtcdObjects::put(const Place& place, const Json& document) const {
  const auto written = client_->write(
      {{.key = place.key, .modRevision = revisionOf(place.version)}},
      {{.key = place.key, .value = document.dump(-1, ' ', false, Json::error_handler_t::replace)}},
      stop_);
  if (!written) return Fail(written.error());
  return std::to_string(*written);
}

Result<void> EtcdObjects::erase(const Place& place) const {
  const auto written =
      client_->write({{.key = place.key, .modRevision = revisionOf(place.version)}},
                     {{.key = place.key, .value = std::nullopt}}, stop_);
  if (!written) return Fail(written.error());
  return {};
}

}  // namespace margay::api
