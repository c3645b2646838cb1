#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"
#include "controllers/policy/items.h"
#include "controllers/policy/label_index.h"
#include "controllers/policy/model.h"
#include "controllers/policy/services.h"

namespace margay::controllers {

/// A set that a rule refers to.
struct SetNeed {
  SetId id;
  api::Selector selector;  ///< of Selector and NamedPort: what `id.selector` is the text of
};

using SetIndex = std::uint32_t;

/// What is in each active set. Sets hold no members of their own: a member is in a set exactly when
/// some endpoint, network set or slice contributes it, which the indexes answer, so that 100,000
/// endpoints cost the same whatever the number of sets. Changes are noted before they happen and
/// compared at `flush`. One thread.
class Membership {
 public:
  Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  ~Membership() = default;

  /// Null removes. The value's namespace and name are those of the key.
  void set(const api::ObjectKey& key, Shared<api::WorkloadEndpoint> endpoint);
  void set(const api::ObjectKey& key, Shared<api::NetworkSet> networkSet);
  void set(const api::ObjectKey& key, Services::Slice slice);
  void setProfileLabels(const std::string& profile, const api::Labels& labels);

  /// One use more of a set; it appears with the next flush. O(candidate classes) when it is new.
  SetIndex acquire(const SetNeed& need);
  /// With its last use gone it disappears with the next flush.
  void release(SetIndex set);

  /// What changed since the flush before.
  void flush(PolicyDelta& delta);

  struct View {
    SetId id;
    std::vector<dataplane::SetMember> members;  ///< sorted
  };
  /// All sets in use, in order of their ids. O(members).
  [[nodiscard]] std::vector<View> sets() const;
  [[nodiscard]] std::size_t endpoints() const { return items_.endpoints(); }
  /// Null if there is none.
  [[nodiscard]] Shared<api::WorkloadEndpoint> endpoint(const api::ObjectKey& key) const;
  template <class Visit>
  void forEachEndpoint(const Visit& visit) const {
    items_.forEachEndpoint(visit);
  }

 private:
  struct Set {
    SetId id;
    SelectorId selector = 0;
    std::uint32_t uses = 0;
    bool announced = false;
    bool dirty = false;  ///< in dirtySets_
  };
  struct Touched {
    SetIndex set;
    dataplane::SetMember member;
    bool operator==(const Touched&) const = default;
  };
  struct TouchedHash {
    std::size_t operator()(const Touched& touched) const {
      return std::hash<dataplane::SetMember>{}(touched.member) +
             touched.set * 0x9e3779b97f4a7c15ULL;
    }
  };

  [[nodiscard]] static bool hasSelector(SetKind kind) {
    return kind == SetKind::Selector || kind == SetKind::NamedPort;
  }
  void put(const api::ObjectKey& key, Item next);
  void remove(const api::ObjectKey& key);
  void enterClass(ItemId id);
  void leaveClass(ItemId id);
  template <class Visit>
  void forEachOf(ClassId of, const Visit& visit) const;
  template <class Visit>
  static void contributions(const SetId& set, const Item& item, const Visit& visit);
  template <class Visit>
  static void contributions(const SetId& set, const api::EndpointSlice& slice, const Visit& visit);
  /// Notes that the item's members of these sets may change.
  void touch(const std::vector<SelectorId>& selectors, const Item& item);
  void touch(SetIndex set, const Item& item);
  void touch(const api::EndpointSlice& slice);
  void touch(SetIndex set, const dataplane::SetMember& member);
  [[nodiscard]] bool present(const Set& set, const dataplane::SetMember& member) const;
  [[nodiscard]] std::vector<dataplane::SetMember> members(const Set& set) const;
  void markDirty(SetIndex set);
  void destroy(SetIndex set);
  void flushMembers(PolicyDelta& delta);

  Items items_;
  Services services_;
  LabelIndex index_;
  std::vector<ItemId> firstOf_;  // by class; kNoItem: none
  std::deque<Set> sets_;
  std::vector<SetIndex> freeSets_;
  std::map<SetId, SetIndex> setById_;
  std::vector<std::vector<SetIndex>> setsOf_;  // by selector
  std::map<api::ServiceRef, std::vector<SetIndex>> setsOfService_;
  std::vector<SetIndex> dirtySets_;
  std::unordered_map<Touched, bool, TouchedHash>
      touched_;  // whether it was present at the last flush
};

}  // namespace margay::controllers
