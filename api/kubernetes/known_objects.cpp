#include "api/kubernetes/known_objects.h"

#include <algorithm>
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

std::string noteKey(std::string_view ns, std::string_view name) {
  return std::string(ns).append(1, '/').append(name);
}

}  // namespace

bool KnownObjects::is(const Entry& entry, std::string_view ns, std::string_view name) {
  if (const auto* other = std::get_if<std::unique_ptr<Other>>(&entry.object))
    return (*other)->name == name && (*other)->ns == ns;
  const auto& pod = *std::get<Pod>(entry.object);
  return pod.ns == ns && pod.name == workloadEndpointName(pod.node, "k8s", name, "eth0");
}

ObjectKey KnownObjects::keyOf(const Entry& entry) {
  if (const auto* other = std::get_if<std::unique_ptr<Other>>(&entry.object)) return (*other)->key;
  const auto& pod = *std::get<Pod>(entry.object);
  return {Kind::WorkloadEndpoint, pod.ns, pod.name.str()};
}

Value KnownObjects::valueOf(const Entry& entry) {
  if (const auto* other = std::get_if<std::unique_ptr<Other>>(&entry.object))
    return (*other)->value;
  return std::get<Pod>(entry.object);
}

/// Where what has this hash would be if nothing else were there.
std::size_t KnownObjects::home(std::uint32_t hash) const {
  return (std::uint64_t{hash} * slots_.size()) >> 32U;
}

std::size_t KnownObjects::next(std::size_t at) const {
  return at + 1 < slots_.size() ? at + 1 : 0;
}

std::size_t KnownObjects::slotHolding(std::uint32_t index) const {
  std::size_t at = home(entries_[index].hash);
  while (slots_[at] != index) at = next(at);
  return at;
}

std::size_t KnownObjects::slotOf(std::uint32_t hash, std::string_view ns,
                                 std::string_view name) const {
  if (slots_.empty()) return kNone;
  for (std::size_t at = home(hash); slots_[at] != kFree; at = next(at)) {
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
  std::size_t at = home(entries_[index].hash);
  while (slots_[at] != kFree) at = next(at);
  slots_[at] = index;
}

void KnownObjects::insert(Entry entry) {
  entries_.push_back(std::move(entry));
  if (4 * entries_.size() <= 3 * slots_.size())
    return place(static_cast<std::uint32_t>(entries_.size() - 1));
  // Doubling would leave it two fifths full.
  slots_.assign(std::max<std::size_t>(16, slots_.size() + slots_.size() / 4), kFree);
  for (std::size_t i = 0; i < entries_.size(); ++i) place(static_cast<std::uint32_t>(i));
}

void KnownObjects::erase(std::size_t slot) {
  const auto distance = [this](std::size_t from, std::size_t to) {
    return to >= from ? to - from : to + slots_.size() - from;
  };
  const std::uint32_t index = slots_[slot];
  // Move back what would no longer be found behind the hole.
  std::size_t hole = slot;
  for (std::size_t at = next(hole); slots_[at] != kFree; at = next(at)) {
    if (distance(home(entries_[slots_[at]].hash), at) < distance(hole, at)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = kFree;
  // The last entry takes the place.
  const auto last = static_cast<std::uint32_t>(entries_.size() - 1);
  if (index != last) {
    slots_[slotHolding(last)] = index;
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
  if (const auto* other = std::get_if<std::unique_ptr<Other>>(&entry.object)) {
    const auto claimed = claims_.find(key);
    auto& names = claimed->second;
    const ServerName name((*other)->ns, (*other)->name);
    const bool counted = *names.begin() == name;
    names.erase(name);
    if (!names.empty()) {
      ++notesVersion_;
      const auto& [ns, next] = *names.begin();
      if (counted) updates.push_back({std::move(key), valueOf(*find(ns, next))});
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
  const auto* pod = std::get_if<Pod>(&*decoded.value);
  const bool counts = pod != nullptr || claim(decoded.key, object);
  const bool same = !renamed && known != nullptr && sameValue(valueOf(*known), *decoded.value);
  if (counts && !same) updates.push_back({decoded.key, *decoded.value});
  Entry entry{.object = {},
              .version = numberOf(object.version),
              .hash = hashOf(object.ns, object.name),
              .list = list_};
  if (same) {
    entry.object = std::move(known->object);  // with the value that the store has
  } else if (pod != nullptr) {
    entry.object = *pod;
  } else {
    entry.object =
        std::make_unique<Other>(Other{std::string(object.ns), std::string(object.name),
                                      std::move(decoded.key), std::move(*decoded.value)});
  }
  if (known == nullptr) return insert(std::move(entry));
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
    erase(slotHolding(static_cast<std::uint32_t>(i)));
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
