#include "api/etcd/object_table.h"

#include <algorithm>
#include <utility>

#include "api/etcd/shared_parts.h"

namespace margay::api {

void ObjectTable::apply(const EtcdEvent& event, std::vector<Update>& updates) {
  if (!event.deleted) {
    auto* entry = entryOf(event.kv);
    if (entry != nullptr && entry->second.revision < event.kv.modRevision)
      put(event.kv, *entry, updates);
    return;
  }
  const auto key = parseStoredKey(event.kv.key);
  if (!key) return;
  const auto found = objects_.find({key->kind, key->ns, key->name});
  if (found == objects_.end() || found->second.revision > event.kv.modRevision) return;
  remove(*found, updates);
  objects_.erase(found);
}

void ObjectTable::distrust() {
  for (auto& [place, known] : objects_) known.revision = 0;
}

void ObjectTable::listed(const EtcdKeyValue& kv, std::vector<Update>& updates) {
  auto* entry = entryOf(kv);
  if (entry != nullptr && entry->second.revision != kv.modRevision) put(kv, *entry, updates);
}

ObjectTable::Objects::value_type* ObjectTable::entryOf(const EtcdKeyValue& kv) {
  const auto key = parseStoredKey(kv.key);
  if (!key || key->kind->kind == Kind::Unknown) return nullptr;
  auto& entry = *objects_.try_emplace({key->kind, pools_.string(key->ns), key->name}).first;
  entry.second.list = list_;
  return &entry;
}

void ObjectTable::put(const EtcdKeyValue& kv, Objects::value_type& entry,
                      std::vector<Update>& updates) {
  auto& [place, known] = entry;
  known.revision = kv.modRevision;
  auto decoded = decodeStored(*parseStoredKey(kv.key), kv.value);
  shareParts(decoded, {.name = place.name, .node = node_}, pools_);
  note(place, known, decoded);
  const bool had = std::exchange(known.inStore, decoded.value.has_value());
  if (had || known.inStore) updates.push_back({std::move(decoded.key), std::move(decoded.value)});
}

void ObjectTable::remove(const Objects::value_type& entry, std::vector<Update>& updates) {
  const auto& [place, known] = entry;
  if (known.noted) {
    notes_.erase(place);
    ++notesVersion_;
  }
  if (!known.inStore) return;
  updates.push_back(
      {{place.kind->kind, place.ns, std::string(nameForUsers(*place.kind, place.name))},
       std::nullopt});
}

void ObjectTable::note(const Place& place, Known& known, const Decoded& decoded) {
  const bool has = !decoded.errors.empty() || !decoded.warnings.empty();
  if (!has && !known.noted) return;
  ++notesVersion_;
  known.noted = has;
  if (!has) {
    notes_.erase(place);
    return;
  }
  Notes& notes = notes_[place];
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
    remove(*at, updates);
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
