#include "api/store/object_store.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

struct Named {
  const StoredKind* kind = nullptr;
  std::string ns;
  std::string name;
};

Result<Named> checked(const Json& document) {
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
  return Named{kind, decoded.ns, decoded.name};
}

Error absent(const std::string& title) {
  return {Errc::NotFound, 0, "resource does not exist: " + title};
}

}  // namespace

std::string titleOf(const StoredKind& kind, const std::string& ns, const std::string& name) {
  return std::string(kind.kindName) + "(" + (kind.namespaced ? ns + "/" : "") + name + ")";
}

Json forUsers(const StoredKind& kind, Json stored, const std::string& version) {
  Json& metadata = stored["metadata"];
  metadata["resourceVersion"] = version;
  if (!isTiered(kind)) return stored;
  Json& labels = metadata["labels"];
  if (!labels.is_object()) labels = Json::object();
  if (!labels.contains(kTierLabel)) labels[kTierLabel] = "default";
  return stored;
}

Result<Json> ObjectStore::get(const StoredKind& kind, const std::string& ns,
                              const std::string& name) const {
  const auto found = find(kind, ns, name);
  if (!found) return Fail(found.error());
  const auto title = titleOf(kind, ns, name);
  if (found->place.version.empty()) return Fail(absent(title));
  if (!found->document) return fail(Errc::Invalid, title + ": the stored value is no JSON object");
  return *found->document;
}

Result<void> ObjectStore::checkTier(const StoredKind& kind, const Json& document) const {
  const auto spec = document.value("spec", Json::object());
  const auto tier = isTiered(kind) ? spec.value("tier", "") : "";
  if (tier.empty() || tier == "default") return {};
  const auto found = find(*storedKindNamed("Tier"), "", tier);
  if (!found) return Fail(found.error());
  if (!found->place.version.empty()) return {};
  return fail(Errc::NotFound, absent("Tier(" + tier + ")").what + ": create it first");
}

Result<Json> ObjectStore::write(const Json& document, Mode mode) const {
  const auto named = checked(document);
  if (!named) return Fail(named.error());
  const auto& kind = *named->kind;
  const auto title = titleOf(kind, named->ns, named->name);
  const auto found = find(kind, named->ns, named->name);
  if (!found) return Fail(found.error());
  const bool exists = !found->place.version.empty();
  if (exists && mode == Mode::Create) return fail(Errc::Stale, "resource already exists: " + title);
  if (!exists && mode == Mode::Replace) return Fail(absent(title));
  if (!exists) {
    if (auto tier = checkTier(kind, document); !tier) return Fail(tier.error());
  }
  const auto asked = document["metadata"].value("resourceVersion", Json());
  if (mode == Mode::Replace && asked.is_string() && asked != found->place.version)
    return fail(Errc::Stale,
                "update conflict: " + title + " has been changed since it was read; read it again");
  auto stored = storageForm(kind, document, found->document ? *found->document : Json());
  stored["metadata"]["name"] = found->place.storedName;
  const auto version = put(found->place, stored);
  if (!version) return Fail(withContext(version.error(), title));
  stored["metadata"]["name"] = named->name;
  return forUsers(kind, std::move(stored), *version);
}

Result<Json> ObjectStore::create(const Json& document) const {
  return write(document, Mode::Create);
}
Result<Json> ObjectStore::replace(const Json& document) const {
  return write(document, Mode::Replace);
}
Result<Json> ObjectStore::apply(const Json& document) const {
  return write(document, Mode::Apply);
}

Result<void> ObjectStore::remove(const StoredKind& kind, const std::string& ns,
                                 const std::string& name) const {
  const auto found = find(kind, ns, name);
  if (!found) return Fail(found.error());
  const auto title = titleOf(kind, ns, name);
  if (found->place.version.empty()) return Fail(absent(title));
  auto erased = erase(found->place);
  if (!erased) return Fail(withContext(erased.error(), title));
  return {};
}

}  // namespace margay::api
