#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/model/labels.h"
#include "api/selector/selector.h"
#include "base/hashed_ids.h"
#include "controllers/policy/label_postings.h"

namespace margay::controllers {

/// A label class: all things that have equal own labels and equal lists of profiles. Reused once it
/// is gone.
using ClassId = std::uint32_t;
/// A selector, by its canonical text. Reused once it is gone.
using SelectorId = std::uint32_t;

/// Which selectors match which label classes, kept current as either comes and goes and as profiles
/// change the labels that they apply. A selector is evaluated once a class, and only where a label
/// that it demands makes a match possible. One thread.
class LabelIndex {
 public:
  using Callback = std::function<void(ClassId, SelectorId)>;
  /// `beforeChange` is called before a class begins or ceases to match a selector, and may read the
  /// index.
  explicit LabelIndex(Callback beforeChange);
  LabelIndex(const LabelIndex&) = delete;
  LabelIndex& operator=(const LabelIndex&) = delete;
  ~LabelIndex() = default;

  /// The class of things like this; one use more of it.
  ClassId acquire(const api::Labels& own, const std::vector<std::string>& profiles);
  void release(ClassId id);
  /// Whether `acquire` would give `id`. No allocation.
  [[nodiscard]] bool isClass(ClassId id, const api::Labels& own,
                             const std::vector<std::string>& profiles) const;

  /// One use more of the selector.
  SelectorId add(const api::Selector& selector);
  void remove(SelectorId id);

  /// Labels that a profile applies; none for a profile that does not exist.
  void setProfileLabels(const std::string& name, const api::Labels& labels);

  [[nodiscard]] bool matches(ClassId id, SelectorId selector) const;
  /// Sorted.
  [[nodiscard]] const std::vector<SelectorId>& selectorsOf(ClassId id) const {
    return classes_[id].matches;
  }
  [[nodiscard]] const std::vector<std::string>& profilesOf(ClassId id) const {
    return lists_[classes_[id].list].names;
  }
  /// Number of classes that match.
  [[nodiscard]] std::size_t matchCount(SelectorId id) const { return selectors_[id].matchCount; }
  /// In no order. O(classes with the rarest label that the selector demands).
  [[nodiscard]] std::vector<ClassId> classesOf(SelectorId id) const;
  /// Above every class in use.
  [[nodiscard]] std::size_t classLimit() const { return classes_.size(); }

 private:
  struct Class {
    api::Labels own;
    std::uint32_t list = 0;
    std::uint32_t uses = 0;
    std::uint32_t placeInList = 0;
    std::vector<SelectorId> matches;
  };
  struct Profile {
    std::string name;
    api::Labels labels;
    std::vector<std::uint32_t> lists;
  };
  struct ProfileList {
    std::vector<std::string> names;
    std::vector<std::uint32_t> profiles;
    std::vector<ClassId> classes;
  };
  struct Entry {
    api::Selector selector;
    std::uint32_t uses = 0;
    std::size_t matchCount = 0;
    bool impossible = false;            ///< its demands contradict
    std::optional<LabelAnchor> anchor;  ///< none: every class is a candidate
  };
  class ClassLabels;

  [[nodiscard]] std::optional<ClassId> find(std::size_t hash, const api::Labels& own,
                                            const std::vector<std::string>& profiles) const;
  [[nodiscard]] std::size_t hashOf(const api::Labels& own,
                                   const std::vector<std::string>& profiles) const;
  std::uint32_t listFor(const std::vector<std::string>& names);
  void dropList(std::uint32_t list);
  std::uint32_t profileFor(const std::string& name);
  void dropProfileIfUnused(std::uint32_t profile);
  /// The profile whose label of this key the class inherits.
  [[nodiscard]] std::optional<std::uint32_t> provider(const Class& of, std::string_view key) const;
  [[nodiscard]] std::vector<SelectorId> evaluate(const Class& of) const;
  void become(ClassId id, std::vector<SelectorId> matches);
  void indexLabels(ClassId id);
  /// Classes are found by the labels that some selector demands, and by no others.
  void demand(const api::LabelRestrictions& restrictions);
  void cease(const api::LabelRestrictions& restrictions);
  void chooseAnchor(Entry& entry, const api::LabelRestrictions& restrictions) const;
  [[nodiscard]] std::size_t costOf(const LabelAnchor& anchor) const;
  template <class Visit>
  void forEachCandidate(const Entry& entry, const Visit& visit) const;

  Callback beforeChange_;
  std::deque<Class> classes_;
  std::vector<ClassId> freeClasses_;
  HashedIds classByContent_;
  LabelPostings classesByLabel_;                                 // own labels, of demanded keys
  std::unordered_map<std::string, std::uint32_t> demandedKeys_;  // by how many selectors
  std::vector<ProfileList> lists_;
  std::vector<std::uint32_t> freeLists_;
  HashedIds listByNames_;
  std::vector<Profile> profiles_;
  std::vector<std::uint32_t> freeProfiles_;
  std::unordered_map<std::string, std::uint32_t> profileByName_;
  LabelPostings profilesByLabel_;
  std::deque<Entry> selectors_;
  std::vector<SelectorId> freeSelectors_;
  std::unordered_map<std::string, SelectorId> selectorByText_;
  LabelPostings selectorsByLabel_;                                           // anchors with values
  std::unordered_map<std::string, std::vector<SelectorId>> selectorsByKey_;  // anchors without
  std::vector<SelectorId> unanchored_;
};

}  // namespace margay::controllers
