#include "api/etcd/etcd_objects.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"
#include "api/etcd/etcd_request.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

std::string titleOf(const StoredKind& kind, const std::string& ns, const std::string& name) {
  return std::string(kind.kindName) + "(" + (kind.namespaced ? ns + "/" : "") + name + ")";
}

Json withRevision(Json document, std::int64_t revision) {
  if (document.is_object()) document["metadata"]["resourceVersion"] = std::to_string(revision);
  return document;
}

/// What Calico shows of a policy that is stored without the label of its tier.
void nameTier(const StoredKind& kind, Json& document) {
  if (!isTiered(kind) || !document["metadata"].is_object()) return;
  Json& labels = document["metadata"]["labels"];
  if (!labels.is_object()) labels = Json::object();
  if (!labels.contains(kTierLabel)) labels[kTierLabel] = "default";
}

Json forUsers(const EtcdKeyValue& kv) {
  const auto key = parseStoredKey(kv.key);
  if (!key) return {};
  auto document = parseStored(*key, kv.value);
  if (!document.is_object()) return {};
  nameTier(*key->kind, document);
  return withRevision(std::move(document), kv.modRevision);
}

Result<const StoredKind*> checked(const Json& document, std::string& ns, std::string& name) {
  const auto decoded = decodeCalico(document);
  if (!decoded.errors.empty()) {
    std::string line = decoded.kindName.empty() ? "object" : decoded.kindName;
    if (!decoded.name.empty()) line += " " + decoded.name;
    const char* before = ": ";
    for (const auto& error : decoded.errors) {
      line += before + (error.field.empty() ? "" : error.field + ": ") + error.reason;
      before = "; ";
    }
    return fail(Errc::Invalid, std::move(line));
  }
  const auto* kind = storedKindNamed(decoded.kindName);
  if (kind == nullptr)
    return fail(Errc::Invalid, decoded.kindName + " is no kind that is written by users");
  ns = decoded.ns;
  name = decoded.name;
  return kind;
}

}  // namespace

Result<EtcdObjects::Place> EtcdObjects::find(const StoredKind& kind, const std::string& ns,
                                             const std::string& name) const {
  const auto keys = possibleKeysOf(kind, ns, name);
  for (const auto& key : keys) {
    auto found = client_.get(key, stop_);
    if (!found) return Fail(found.error());
    if (*found) return Place{.key = key, .value = std::move(**found)};
  }
  return Place{.key = keys.front(), .value = std::nullopt};
}

Result<Json> EtcdObjects::get(const StoredKind& kind, const std::string& ns,
                              const std::string& name) const {
  const auto found = find(kind, ns, name);
  if (!found) return Fail(found.error());
  if (!found->value)
    return fail(Errc::NotFound, "resource does not exist: " + titleOf(kind, ns, name));
  auto document = forUsers(*found->value);
  if (document.is_null())
    return fail(Errc::Invalid, titleOf(kind, ns, name) + ": the stored value is no JSON object");
  return document;
}

Result<std::vector<Json>> EtcdObjects::list(const StoredKind& kind,
                                            const std::optional<std::string>& ns) const {
  std::string prefix = std::string(kResourcePrefix).append(kind.plural) + "/";
  if (kind.namespaced && ns) prefix += *ns + "/";
  std::vector<Json> out;
  auto listed = client_.list(
      prefix,
      [&](EtcdKeyValue& kv) {
        auto document = forUsers(kv);
        if (!document.is_null()) out.push_back(std::move(document));
      },
      stop_);
  if (!listed) return Fail(listed.error());
  return out;
}

Result<void> EtcdObjects::checkTier(const StoredKind& kind, const Json& document) const {
  const auto tier = isTiered(kind) ? document["spec"].value("tier", "") : "";
  if (tier.empty() || tier == "default") return {};
  const auto found = find(*storedKindNamed("Tier"), "", tier);
  if (!found) return Fail(found.error());
  if (!found->value)
    return fail(Errc::NotFound, "resource does not exist: Tier(" + tier + "): create it first");
  return {};
}

Result<Json> EtcdObjects::write(const Json& document, Mode mode) const {
  std::string ns;
  std::string name;
  const auto kind = checked(document, ns, name);
  if (!kind) return Fail(kind.error());
  const auto title = titleOf(**kind, ns, name);
  const auto place = find(**kind, ns, name);
  if (!place) return Fail(place.error());
  const auto& [key, before] = *place;
  if (before && mode == Mode::Create) return fail(Errc::Stale, "resource already exists: " + title);
  if (!before && mode == Mode::Replace)
    return fail(Errc::NotFound, "resource does not exist: " + title);
  if (!before) {
    if (auto tier = checkTier(**kind, document); !tier) return Fail(tier.error());
  }
  const std::int64_t revision = before ? before->modRevision : 0;
  const auto asked = document["metadata"].value("resourceVersion", Json());
  if (mode == Mode::Replace && asked.is_string() && asked != std::to_string(revision))
    return fail(Errc::Stale,
                "update conflict: " + title + " has been changed since it was read; read it again");
  auto stored = storageForm(**kind, document, before ? forUsers(*before) : Json());
  stored["metadata"]["name"] = parseStoredKey(key)->name;
  auto written = client_.write(
      {{.key = key, .modRevision = revision}},
      {{.key = key, .value = stored.dump(-1, ' ', false, Json::error_handler_t::replace)}}, stop_);
  if (!written) return Fail(withContext(written.error(), title));
  auto out = withRevision(stored, *written);
  out["metadata"]["name"] = name;
  nameTier(**kind, out);
  return out;
}

Result<Json> EtcdObjects::create(const Json& document) const {
  return write(document, Mode::Create);
}
Result<Json> EtcdObjects::replace(const Json& document) const {
  return write(document, Mode::Replace);
}
Result<Json> EtcdObjects::apply(const Json& document) const {
  return write(document, Mode::Apply);
}

Result<void> EtcdObjects::remove(const StoredKind& kind, const std::string& ns,
                                 const std::string& name) const {
  const auto found = find(kind, ns, name);
  if (!found) return Fail(found.error());
  const auto& [key, value] = *found;
  if (!value) return fail(Errc::NotFound, "resource does not exist: " + titleOf(kind, ns, name));
  auto written = client_.write({{.key = key, .modRevision = value->modRevision}},
                               {{.key = key, .value = std::nullopt}}, stop_);
  if (!written) return Fail(withContext(written.error(), titleOf(kind, ns, name)));
  return {};
}

}  // namespace margay::api
