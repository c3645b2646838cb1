#include "api/kubernetes/known_objects.h"

#include <charconv>
#include <functional>
#include <iterator>
#include <utility>

#include "api/model/same_value.h"

namespace margay::api {
namespace {

std::uint32_t hashOf(std::string_view ns, std::string_view name) {
  const std::hash<std::string_view> hash;
  const std::uint64_t whole = hash(name) * 31 + hash(ns);
  return static_cast<std::uint32_t>(whole ^ (whole >> 32U));
}

/// Versions are compared for being equal alone: they are opaque.
std::uint64_t numberOf(std::string_view version) {
  std::uint64_t number = 0;
  const auto* end = version.data() + version.size();
  const auto [rest, error] = std::from_chars(version.data(), end, number);
  return error == std::errc() && rest == end ? number : std::hash<std::string_view>{}(version);
}

const WorkloadEndpoint* podIn(const Value& value) {
  const auto* found = std::get_if<std::shared_ptr<const WorkloadEndpoint>>(&value);
  return found == nullptr ? nullptr : found->get();
}

std::string noteKey(std::string_view ns, std::string_view name) {
  return std::string(ns).append(1, '/').append(name);
}

}  // namespace

bool KnownObjects::is(const Entry& entry, std::string_view ns, std::string_view name) {
  if (entry.origin) return entry.origin->name == name && entry.origin->ns == ns;
  const WorkloadEndpoint* pod = podIn(entry.value);
  return pod != nullptr && pod->ns == ns &&
         pod->name == workloadEndpointName(pod->node, "k8s", name, "eth0");
}

ObjectKey KnownObjects::keyOf(const Entry& entry) {
  if (entry.origin) return entry.origin->key;
  const WorkloadEndpoint* pod = podIn(entry.value);
  return {Kind::WorkloadEndpoint, pod->ns, pod->name.str()};
}

std::size_t KnownObjects::slotOf(std::uint32_t hash, std::string_view ns,
                                 std::string_view name) const {
  if (slots_.empty()) return kNone;
  for (std::size_t at = hash & mask(); slots_[at] != kFree; at = (at + 1) & mask()) {
    const Entry& entry = entries_[slots_[at]];
    if (entry.hash == hash && is(entry, ns, name)) return at;
  }
  return kNone;
}

KnownObjects::Entry* KnownObjects::find(std::string_view ns, std::string_view name) {
  const std::size_t slot = slotOf(hashOf(ns, name), ns, name);
  return slot == kNone ? nullptr : &entries_[slots_[slot]];
}

void KnownObjects::place(std::uint32_t index) {
  std::size_t at = entries_[index].hash & mask();
  while (slots_[at] != kFree) at = (at + 1) & mask();
  slots_[at] = index;
}

void KnownObjects::insert(Entry entry) {
  entries_.push_back(std::move(entry));
  if (4 * entries_.size() <= 3 * slots_.size())
    return place(static_cast<std::uint32_t>(entries_.size() - 1));
  slots_.assign(slots_.empty() ? 64 : slots_.size() * 2, kFree);
  for (std::size_t i = 0; i < entries_.size(); ++i) place(static_cast<std::uint32_t>(i));
}

void KnownObjects::erase(std::size_t slot) {
  const std::uint32_t index = slots_[slot];
  // Move back what would no longer be found behind the hole.
  std::size_t hole = slot;
  for (std::size_t at = (hole + 1) & mask(); slots_[at] != kFree; at = (at + 1) & mask()) {
    const std::size_t home = entries_[slots_[at]].hash & mask();
    if (((at - home) & mask()) < ((at - hole) & mask())) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = kFree;
  // The last entry takes the place.
  const auto last = static_cast<std::uint32_t>(entries_.size() - 1);
  if (index != last) {
    std::size_t at = entries_[last].hash & mask();
    while (slots_[at] != last) at = (at + 1) & mask();
    slots_[at] = index;
    entries_[index] = std::move(entries_[last]);
  }
  entries_.pop_back();
}

bool KnownObjects::listedBefore(const ServerObject& object) {
  Entry* entry = find(object.ns, object.name);
  if (entry == nullptr) return false;
  const bool noted = !notes_.empty() && notes_.contains(noteKey(object.ns, object.name));
  if (noted || entry->version != numberOf(object.version)) return false;
  entry->list = list_;
  return true;
}

/// Whether the object is the one of this key that counts.
bool KnownObjects::claim(const ObjectKey& key, const ServerObject& object) {
  auto& names = claims_[key];
  const auto [place, isNew] = names.emplace(object.ns, object.name);
  if (isNew && names.size() > 1) ++notesVersion_;
  return place == names.begin();
}

/// The object goes, or takes another key: the next of its key counts instead, or none.
void KnownObjects::release(const Entry& entry, std::vector<Update>& updates) {
  ObjectKey key = keyOf(entry);
  if (entry.origin) {
    const auto claimed = claims_.find(key);
    auto& names = claimed->second;
    const ServerName name(entry.origin->ns, entry.origin->name);
    const bool counted = *names.begin() == name;
    names.erase(name);
    if (!names.empty()) {
      ++notesVersion_;
      const auto& [ns, next] = *names.begin();
      if (counted) updates.push_back({std::move(key), find(ns, next)->value});
      return;
    }
    claims_.erase(claimed);
  }
  updates.push_back({std::move(key), std::nullopt});
}

void KnownObjects::put(const ServerObject& object, Decoded decoded, std::vector<Update>& updates) {
  if (!decoded.value) {
    drop(object.ns, object.name, updates);
    return note(object, decoded);
  }
  note(object, decoded);
  Entry* known = find(object.ns, object.name);
  const bool renamed = known != nullptr && keyOf(*known) != decoded.key;
  if (renamed) release(*known, updates);
  Entry entry{.value = std::move(*decoded.value),
              .origin = nullptr,
              .version = numberOf(object.version),
              .hash = hashOf(object.ns, object.name),
              .list = list_};
  const bool isPod = podIn(entry.value) != nullptr;
  const bool counts = isPod || claim(decoded.key, object);
  const bool same = !renamed && known != nullptr && sameValue(known->value, entry.value);
  if (counts && !same) updates.push_back({decoded.key, entry.value});
  if (!isPod)
    entry.origin = std::make_unique<Origin>(
        Origin{std::string(object.ns), std::string(object.name), std::move(decoded.key)});
  if (known == nullptr) return insert(std::move(entry));
  if (same) entry.value = std::move(known->value);  // the one that the store has
  *known = std::move(entry);
}

void KnownObjects::remove(std::string_view ns, std::string_view name,
                          std::vector<Update>& updates) {
  if (!notes_.empty() && notes_.erase(noteKey(ns, name)) > 0) ++notesVersion_;
  drop(ns, name, updates);
}

void KnownObjects::drop(std::string_view ns, std::string_view name, std::vector<Update>& updates) {
  const std::size_t slot = slotOf(hashOf(ns, name), ns, name);
  if (slot == kNone) return;
  release(entries_[slots_[slot]], updates);
  erase(slot);
}

void KnownObjects::endList(std::vector<Update>& updates) {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (entries_[i].list == list_) continue;
    release(entries_[i], updates);
    std::size_t at = entries_[i].hash & mask();
    while (slots_[at] != i) at = (at + 1) & mask();
    erase(at);
  }
  const auto gone = [this](const auto& entry) { return entry.second.list != list_; };
  if (std::erase_if(notes_, gone) > 0) ++notesVersion_;
}

void KnownObjects::note(const ServerObject& object, const Decoded& decoded) {
  const bool has = !decoded.errors.empty() || !decoded.warnings.empty();
  if (!has && notes_.empty()) return;
  const std::string key = noteKey(object.ns, object.name);
  if (!has) {
    if (notes_.erase(key) > 0) ++notesVersion_;
    return;
  }
  ++notesVersion_;
  Notes& notes = notes_[key];
  notes = {.list = list_, .invalid = {}, .warnings = decoded.warnings};
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

std::vector<InvalidObject> KnownObjects::invalid() const {
  std::vector<InvalidObject> out;
  for (const auto& [key, notes] : notes_)
    out.insert(out.end(), notes.invalid.begin(), notes.invalid.end());
  for (const auto& [key, names] : claims_) {
    for (auto loser = std::next(names.begin()); loser != names.end(); ++loser)
      out.push_back({.kind = key.kind,
                     .kindName = std::string(kindText(key.kind)),
                     .ns = loser->first,
                     .name = loser->second,
                     .file = {},
                     .field = "metadata.name",
                     .reason = "means '" + key.name + "', and so does " + names.begin()->second +
                               ", which counts: remove one of them"});
  }
  return out;
}

std::vector<std::string> KnownObjects::warnings() const {
  std::vector<std::string> out;
  for (const auto& [key, notes] : notes_)
    out.insert(out.end(), notes.warnings.begin(), notes.warnings.end());
  return out;
}

}  // namespace margay::api
