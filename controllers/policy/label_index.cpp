#include "controllers/policy/label_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/result.h"

namespace margay::controllers {
namespace {

std::size_t combine(std::size_t seed, std::size_t value) {
  return (seed ^ value) * 0x9e3779b97f4a7c15ULL + (seed >> 29U);
}

std::size_t hashOfNames(const std::vector<std::string>& names) {
  std::size_t out = names.size();
  for (const auto& name : names) out = combine(out, std::hash<std::string>{}(name));
  return out;
}

/// A place in `all` that `free` knows, or a new one at its end.
template <class All>
std::uint32_t takePlace(All& all, std::vector<std::uint32_t>& free) {
  if (free.empty()) {
    all.emplace_back();
    return static_cast<std::uint32_t>(all.size() - 1);
  }
  const auto place = free.back();
  free.pop_back();
  return place;
}

void eraseOne(std::vector<std::uint32_t>& from, std::uint32_t id) {
  const auto at = std::find(from.begin(), from.end(), id);
  if (at == from.end()) return;
  *at = from.back();
  from.pop_back();
}

}  // namespace

class LabelIndex::ClassLabels final : public api::LabelSource {
 public:
  ClassLabels(const LabelIndex& index, const Class& of) : index_(index), of_(of) {}
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const override {
    if (const auto own = of_.own.get(key)) return own;
    const auto profile = index_.provider(of_, key);
    return profile ? index_.profiles_[*profile].labels.get(key) : std::nullopt;
  }

 private:
  const LabelIndex& index_;
  const Class& of_;
};

LabelIndex::LabelIndex(Callback beforeChange) : beforeChange_(std::move(beforeChange)) {}

std::optional<std::uint32_t> LabelIndex::provider(const Class& of, std::string_view key) const {
  for (const auto profile : lists_[of.list].profiles) {
    if (profiles_[profile].labels.get(key)) return profile;
  }
  return std::nullopt;
}

std::size_t LabelIndex::hashOf(const api::Labels& own,
                               const std::vector<std::string>& profiles) const {
  std::size_t out = hashOfNames(profiles);
  for (const auto& [key, value] : own.pairs()) {
    out = combine(combine(out, std::hash<std::string>{}(key)), std::hash<std::string>{}(value));
  }
  return out;
}

bool LabelIndex::isClass(ClassId id, const api::Labels& own,
                         const std::vector<std::string>& profiles) const {
  return classes_[id].own == own && lists_[classes_[id].list].names == profiles;
}

std::optional<ClassId> LabelIndex::find(std::size_t hash, const api::Labels& own,
                                        const std::vector<std::string>& profiles) const {
  return classByContent_.find(hash, [&](ClassId id) { return isClass(id, own, profiles); });
}

ClassId LabelIndex::acquire(const api::Labels& own, const std::vector<std::string>& profiles) {
  const auto hash = hashOf(own, profiles);
  if (const auto found = find(hash, own, profiles)) {
    ++classes_[*found].uses;
    return *found;
  }
  const auto list = listFor(profiles);
  const ClassId id = takePlace(classes_, freeClasses_);
  auto& made = classes_[id];
  made.own = own;
  made.list = list;
  made.uses = 1;
  made.placeInList = static_cast<std::uint32_t>(lists_[list].classes.size());
  lists_[list].classes.push_back(id);
  classByContent_.insert(hash, id);
  indexLabels(id);
  become(id, evaluate(made));
  return id;
}

void LabelIndex::release(ClassId id) {
  auto& gone = classes_[id];
  MGY_CHECK(gone.uses > 0);
  if (--gone.uses > 0) return;
  become(id, {});
  auto& list = lists_[gone.list];
  classByContent_.erase(hashOf(gone.own, list.names), id);
  classesByLabel_.remove(gone.own, id);
  classes_[list.classes.back()].placeInList = gone.placeInList;
  list.classes[gone.placeInList] = list.classes.back();
  list.classes.pop_back();
  if (list.classes.empty()) dropList(gone.list);
  gone = Class{};
  freeClasses_.push_back(id);
}

std::uint32_t LabelIndex::listFor(const std::vector<std::string>& names) {
  const auto hash = hashOfNames(names);
  if (const auto found =
          listByNames_.find(hash, [&](std::uint32_t id) { return lists_[id].names == names; }))
    return *found;
  const auto id = takePlace(lists_, freeLists_);
  lists_[id].names = names;
  listByNames_.insert(hash, id);
  for (const auto& name : names) {
    const auto profile = profileFor(name);
    auto& of = lists_[id].profiles;
    if (std::find(of.begin(), of.end(), profile) != of.end()) continue;
    of.push_back(profile);
    profiles_[profile].lists.push_back(id);
  }
  return id;
}

void LabelIndex::dropList(std::uint32_t list) {
  auto& gone = lists_[list];
  listByNames_.erase(hashOfNames(gone.names), list);
  for (const auto profile : gone.profiles) {
    eraseOne(profiles_[profile].lists, list);
    dropProfileIfUnused(profile);
  }
  gone = ProfileList{};
  freeLists_.push_back(list);
}

std::uint32_t LabelIndex::profileFor(const std::string& name) {
  if (const auto found = profileByName_.find(name); found != profileByName_.end())
    return found->second;
  const auto id = takePlace(profiles_, freeProfiles_);
  profiles_[id].name = name;
  profileByName_.emplace(name, id);
  return id;
}

void LabelIndex::dropProfileIfUnused(std::uint32_t profile) {
  auto& gone = profiles_[profile];
  if (!gone.lists.empty() || !gone.labels.empty()) return;
  profileByName_.erase(gone.name);
  gone = Profile{};
  freeProfiles_.push_back(profile);
}

void LabelIndex::setProfileLabels(const std::string& name, const api::Labels& labels) {
  if (labels.empty() && !profileByName_.contains(name)) return;
  const auto id = profileFor(name);
  if (profiles_[id].labels == labels) return;
  profilesByLabel_.remove(profiles_[id].labels, id);
  profiles_[id].labels = labels;
  profilesByLabel_.add(labels, id);
  for (const auto list : profiles_[id].lists) {
    for (const auto of : lists_[list].classes) become(of, evaluate(classes_[of]));
  }
  dropProfileIfUnused(id);
}

bool LabelIndex::matches(ClassId id, SelectorId selector) const {
  const auto& all = classes_[id].matches;
  return std::binary_search(all.begin(), all.end(), selector);
}

std::vector<SelectorId> LabelIndex::evaluate(const Class& of) const {
  const ClassLabels labels(*this, of);
  std::vector<SelectorId> out;
  const auto consider = [&](SelectorId id) {
    if (selectors_[id].selector.matches(labels)) out.push_back(id);
  };
  const auto considerLabel = [&](const std::string& key, const std::string& value) {
    selectorsByLabel_.forEach(key, value, consider);
    if (const auto found = selectorsByKey_.find(key); found != selectorsByKey_.end()) {
      std::for_each(found->second.begin(), found->second.end(), consider);
    }
  };
  for (const auto& [key, value] : of.own.pairs()) considerLabel(key, value);
  for (const auto profile : lists_[of.list].profiles) {
    for (const auto& [key, value] : profiles_[profile].labels.pairs()) {
      if (!of.own.get(key) && provider(of, key) == profile) considerLabel(key, value);
    }
  }
  std::for_each(unanchored_.begin(), unanchored_.end(), consider);
  std::sort(out.begin(), out.end());
  // Two values of one selector may have one hash.
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void LabelIndex::become(ClassId id, std::vector<SelectorId> matches) {
  const auto& before = classes_[id].matches;
  std::vector<SelectorId> left;
  std::vector<SelectorId> joined;
  std::set_difference(before.begin(), before.end(), matches.begin(), matches.end(),
                      std::back_inserter(left));
  std::set_difference(matches.begin(), matches.end(), before.begin(), before.end(),
                      std::back_inserter(joined));
  for (const auto selector : left) beforeChange_(id, selector);
  for (const auto selector : joined) beforeChange_(id, selector);
  for (const auto selector : left) --selectors_[selector].matchCount;
  for (const auto selector : joined) ++selectors_[selector].matchCount;
  matches.shrink_to_fit();
  classes_[id].matches = std::move(matches);
}

void LabelIndex::indexLabels(ClassId id) {
  for (const auto& [key, value] : classes_[id].own.pairs()) {
    if (demandedKeys_.contains(key)) classesByLabel_.add(key, value, id);
  }
}

void LabelIndex::demand(const api::LabelRestrictions& restrictions) {
  for (const auto& [key, restriction] : restrictions) {
    if (!restriction.mustBePresent || demandedKeys_[key]++ > 0) continue;
    for (ClassId id = 0; id < classes_.size(); ++id) {
      if (const auto value = classes_[id].own.get(key)) classesByLabel_.add(key, *value, id);
    }
  }
}

void LabelIndex::cease(const api::LabelRestrictions& restrictions) {
  for (const auto& [key, restriction] : restrictions) {
    if (!restriction.mustBePresent || --demandedKeys_[key] > 0) continue;
    demandedKeys_.erase(key);
    classesByLabel_.remove(key);
  }
}

std::size_t LabelIndex::costOf(const LabelAnchor& anchor) const {
  std::size_t out = 0;
  classesByLabel_.forEach(anchor, [&](ClassId) { ++out; });
  profilesByLabel_.forEach(anchor, [&](std::uint32_t profile) {
    for (const auto list : profiles_[profile].lists) out += lists_[list].classes.size();
  });
  return out;
}

/// The demand that leaves the fewest classes; of equal ones that which fewest selectors share.
void LabelIndex::chooseAnchor(Entry& entry, const api::LabelRestrictions& restrictions) const {
  std::optional<std::tuple<std::size_t, std::size_t>> best;
  for (const auto& [key, restriction] : restrictions) {
    if (restriction.mustHaveOneOf && restriction.mustHaveOneOf->empty()) entry.impossible = true;
    if (restriction.mustBePresent && restriction.mustBeAbsent) entry.impossible = true;
    if (!restriction.mustBePresent) continue;
    LabelAnchor anchor{key, restriction.mustHaveOneOf.value_or(std::vector<std::string>{})};
    std::size_t shared = 0;
    selectorsByLabel_.forEach(anchor, [&](SelectorId) { ++shared; });
    if (const auto found = selectorsByKey_.find(key); found != selectorsByKey_.end())
      shared += found->second.size();
    const std::tuple cost{costOf(anchor), shared};
    if (best && *best <= cost) continue;
    best = cost;
    entry.anchor = std::move(anchor);
  }
}

template <class Visit>
void LabelIndex::forEachCandidate(const Entry& entry, const Visit& visit) const {
  if (entry.impossible) return;
  if (!entry.anchor) {
    for (ClassId id = 0; id < classes_.size(); ++id) {
      if (classes_[id].uses > 0) visit(id);
    }
    return;
  }
  const auto& key = entry.anchor->key;
  classesByLabel_.forEach(*entry.anchor, visit);
  profilesByLabel_.forEach(*entry.anchor, [&](std::uint32_t profile) {
    for (const auto list : profiles_[profile].lists) {
      for (const auto id : lists_[list].classes) {
        if (!classes_[id].own.get(key) && provider(classes_[id], key) == profile) visit(id);
      }
    }
  });
}

SelectorId LabelIndex::add(const api::Selector& selector) {
  if (const auto found = selectorByText_.find(selector.canonical());
      found != selectorByText_.end()) {
    ++selectors_[found->second].uses;
    return found->second;
  }
  const SelectorId id = takePlace(selectors_, freeSelectors_);
  auto& made = selectors_[id];
  made.selector = selector;
  made.uses = 1;
  const auto restrictions = selector.restrictions();
  demand(restrictions);
  chooseAnchor(made, restrictions);
  selectorByText_.emplace(selector.canonical(), id);
  if (made.impossible) return id;
  if (!made.anchor) {
    unanchored_.push_back(id);
  } else if (made.anchor->values.empty()) {
    selectorsByKey_[made.anchor->key].push_back(id);
  } else {
    for (const auto& value : made.anchor->values)
      selectorsByLabel_.add(made.anchor->key, value, id);
  }
  forEachCandidate(made, [&](ClassId candidate) {
    auto& of = classes_[candidate];
    const auto at = std::lower_bound(of.matches.begin(), of.matches.end(), id);
    if ((at != of.matches.end() && *at == id) || !selector.matches(ClassLabels(*this, of))) return;
    beforeChange_(candidate, id);
    of.matches.insert(at, id);
    ++made.matchCount;
  });
  return id;
}

void LabelIndex::remove(SelectorId id) {
  auto& gone = selectors_[id];
  MGY_CHECK(gone.uses > 0);
  if (--gone.uses > 0) return;
  for (const auto of : classesOf(id)) {
    beforeChange_(of, id);
    auto& all = classes_[of].matches;
    all.erase(std::lower_bound(all.begin(), all.end(), id));
  }
  cease(gone.selector.restrictions());
  selectorByText_.erase(gone.selector.canonical());
  if (!gone.anchor) {
    eraseOne(unanchored_, id);
  } else if (gone.anchor->values.empty()) {
    const auto found = selectorsByKey_.find(gone.anchor->key);
    if (found != selectorsByKey_.end()) eraseOne(found->second, id);
    if (found != selectorsByKey_.end() && found->second.empty()) selectorsByKey_.erase(found);
  } else {
    for (const auto& value : gone.anchor->values)
      selectorsByLabel_.remove(gone.anchor->key, value, id);
  }
  gone = Entry{};
  freeSelectors_.push_back(id);
}

std::vector<ClassId> LabelIndex::classesOf(SelectorId id) const {
  std::vector<ClassId> out;
  out.reserve(selectors_[id].matchCount);
  forEachCandidate(selectors_[id], [&](ClassId candidate) {
    if (matches(candidate, id)) out.push_back(candidate);
  });
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace margay::controllers
