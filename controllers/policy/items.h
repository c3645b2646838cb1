#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "api/model/object.h"
#include "base/hashed_ids.h"
#include "base/shared.h"
#include "controllers/policy/label_index.h"

namespace margay::controllers {

using ItemId = std::uint32_t;
inline constexpr ItemId kNoItem = ~ItemId{0};

/// A thing with labels and addresses: an endpoint, or a network set.
struct Item {
  Shared<api::WorkloadEndpoint> endpoint;
  Shared<api::NetworkSet> networkSet;
  ClassId labelClass = 0;
  ItemId next = kNoItem;  ///< of its class
  ItemId previous = kNoItem;

  [[nodiscard]] const api::Labels& labels() const {
    return endpoint ? endpoint->labels : networkSet->labels;
  }
  /// Those whose labels it inherits.
  [[nodiscard]] std::vector<std::string> ownProfiles() const;
  [[nodiscard]] bool contributes(const Prefix& prefix) const;

  /// Its addresses as sets hold them: a /0 is two /1.
  template <class Visit>
  void forEachPrefix(const Visit& visit) const {
    for (const auto& prefix : endpoint ? endpoint->addresses : networkSet->nets) {
      if (prefix.length > 0) {
        visit(prefix);
      } else {
        visit(Prefix{prefix.address, 1});
        visit(Prefix{upperHalf(prefix.family()), 1});
      }
    }
  }

 private:
  static Address upperHalf(Family family);
};

/// All endpoints and network sets of the cluster, by name and by address. 24 to 48 bytes each for
/// finding them, beside the item itself. One thread.
class Items {
 public:
  [[nodiscard]] std::optional<ItemId> find(const api::ObjectKey& key) const;
  ItemId add(const api::ObjectKey& key, Item item);
  /// The new value has the same name.
  void replace(ItemId id, Item item);
  /// The new value has the same name and addresses.
  void replaceValue(ItemId id, Item item) { items_[id] = std::move(item); }
  void erase(const api::ObjectKey& key, ItemId id);

  [[nodiscard]] const Item& operator[](ItemId id) const { return items_[id]; }
  /// Makes `after` follow `before`; either may be kNoItem.
  void link(ItemId before, ItemId after) {
    if (before != kNoItem) items_[before].next = after;
    if (after != kNoItem) items_[after].previous = before;
  }
  [[nodiscard]] std::size_t endpoints() const { return endpoints_; }
  /// Every endpoint, in no particular order.
  template <class Visit>
  void forEachEndpoint(const Visit& visit) const {
    for (const Item& item : items_) {
      if (item.endpoint) visit(item.endpoint);
    }
  }

  /// Whether an item that contributes exactly this prefix satisfies `holds(item)`.
  template <class Holds>
  [[nodiscard]] bool anyWith(const Prefix& prefix, const Holds& holds) const {
    return byAddress_
        .find(std::hash<Prefix>{}(prefix),
              [&](ItemId id) { return items_[id].contributes(prefix) && holds(items_[id]); })
        .has_value();
  }

 private:
  void indexAddresses(ItemId id);
  void forgetAddresses(ItemId id);

  std::deque<Item> items_;
  std::vector<ItemId> free_;
  HashedIds byName_;
  HashedIds byAddress_;
  std::size_t endpoints_ = 0;
};

}  // namespace margay::controllers
