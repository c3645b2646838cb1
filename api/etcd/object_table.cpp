#include "api/etcd/object_table.h"

#include <algorithm>
#include <utility>

#include "api/etcd/shared_parts.h"

namespace margay::api {
namespace {

ObjectKey objectKeyOf(const StoredKey& key) {
  return {key.kind->kind, std::string(key.ns), std::string(nameForUsers(*key.kind, key.name))};
}

}  // namespace

void ObjectTable::apply(const EtcdEvent& event, std::vector<Update>& updates) {
  if (!event.deleted) {
    Known* known = place(event.kv);
    if (known != nullptr && known->revision < event.kv.modRevision) put(event.kv, *known, updates);
    return;
  }
  if (event.kv.key.size() <= kResourcePrefix.size()) return;
  const auto found = objects_.find(event.kv.key.substr(kResourcePrefix.size()));
  if (found == objects_.end() || found->second.revision > event.kv.modRevision) return;
  remove(found->first, found->second, updates);
  objects_.erase(found);
}

void ObjectTable::distrust() {
  for (auto& [key, known] : objects_) known.revision = 0;
}

void ObjectTable::listed(const EtcdKeyValue& kv, std::vector<Update>& updates) {
  Known* known = place(kv);
  if (known != nullptr && known->revision != kv.modRevision) put(kv, *known, updates);
}

ObjectTable::Known* ObjectTable::place(const EtcdKeyValue& kv) {
  const auto key = parseStoredKey(kv.key);
  if (!key || key->kind->kind == Kind::Unknown) return nullptr;
  Known& known = objects_[kv.key.substr(kResourcePrefix.size())];
  known.list = list_;
  return &known;
}

void ObjectTable::put(const EtcdKeyValue& kv, Known& known, std::vector<Update>& updates) {
  known.revision = kv.modRevision;
  auto decoded = decodeStored(*parseStoredKey(kv.key), kv.value);
  shareParts(decoded, pools_);
  note(kv.key.substr(kResourcePrefix.size()), known, decoded);
  const bool had = std::exchange(known.inStore, decoded.value.has_value());
  if (had || known.inStore) updates.push_back({std::move(decoded.key), std::move(decoded.value)});
}

void ObjectTable::remove(const std::string& shortKey, const Known& known,
                         std::vector<Update>& updates) {
  if (known.noted) {
    notes_.erase(shortKey);
    ++notesVersion_;
  }
  if (!known.inStore) return;
  const std::string whole = std::string(kResourcePrefix).append(shortKey);
  if (const auto key = parseStoredKey(whole)) updates.push_back({objectKeyOf(*key), std::nullopt});
}

void ObjectTable::note(const std::string& shortKey, Known& known, const Decoded& decoded) {
  const bool has = !decoded.errors.empty() || !decoded.warnings.empty();
  if (!has && !known.noted) return;
  ++notesVersion_;
  known.noted = has;
  if (!has) {
    notes_.erase(shortKey);
    return;
  }
  Notes& notes = notes_[shortKey];
  notes = {};
  notes.warnings = decoded.warnings;
  for (const auto& error : decoded.errors) {
    notes.invalid.push_back({.kind = decoded.key.kind,
                             .kindName = decoded.kindName,
                             .ns = decoded.ns,
                             .name = decoded.name,
                             .file = {},
                             .field = error.field,
                             .reason = error.reason});
  }
}

void ObjectTable::endList(std::vector<Update>& updates) {
  for (auto at = objects_.begin(); at != objects_.end();) {
    if (at->second.list == list_) {
      ++at;
      continue;
    }
    remove(at->first, at->second, updates);
    at = objects_.erase(at);
  }
}

std::vector<InvalidObject> ObjectTable::invalid() const {
  std::vector<InvalidObject> out;
  for (const auto& [key, notes] : notes_)
    out.insert(out.end(), notes.invalid.begin(), notes.invalid.end());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> ObjectTable::warnings() const {
  std::vector<std::string> out;
  for (const auto& [key, notes] : notes_)
    out.insert(out.end(), notes.warnings.begin(), notes.warnings.end());
  return out;
}

}  // namespace margay::api
