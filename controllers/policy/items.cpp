#include "controllers/policy/items.h"

#include <utility>

namespace margay::controllers {
namespace {

bool sameName(const Item& item, const api::ObjectKey& key) {
  if (key.kind == api::Kind::WorkloadEndpoint) {
    return item.endpoint && item.endpoint->name == key.name && item.endpoint->ns == key.ns;
  }
  return item.networkSet && item.networkSet->name == key.name && item.networkSet->ns == key.ns;
}

}  // namespace

Address Item::upperHalf(Family family) {
  if (family == Family::V4) return Address::v4(0x80000000U);
  std::array<std::uint8_t, 16> bytes{0x80};
  return Address::fromBytes(bytes);
}

std::vector<std::string> Item::ownProfiles() const {
  if (endpoint) return endpoint->profiles ? *endpoint->profiles : std::vector<std::string>{};
  if (networkSet->ns.empty()) return {};
  return {"kns." + networkSet->ns.str()};
}

bool Item::contributes(const Prefix& prefix) const {
  const auto& all = endpoint ? endpoint->addresses : networkSet->nets;
  if (std::find(all.begin(), all.end(), prefix) != all.end()) return true;
  if (prefix.length != 1) return false;
  return std::any_of(all.begin(), all.end(), [&](const Prefix& own) {
    return own.length == 0 && own.family() == prefix.family();
  });
}

std::optional<ItemId> Items::find(const api::ObjectKey& key) const {
  return byName_.find(std::hash<api::ObjectKey>{}(key),
                      [&](ItemId id) { return sameName(items_[id], key); });
}

ItemId Items::add(const api::ObjectKey& key, Item item) {
  ItemId id = 0;
  if (free_.empty()) {
    id = static_cast<ItemId>(items_.size());
    items_.push_back(std::move(item));
  } else {
    id = free_.back();
    free_.pop_back();
    items_[id] = std::move(item);
  }
  if (items_[id].endpoint) ++endpoints_;
  byName_.insert(std::hash<api::ObjectKey>{}(key), id);
  indexAddresses(id);
  return id;
}

void Items::replace(ItemId id, Item item) {
  forgetAddresses(id);
  items_[id] = std::move(item);
  indexAddresses(id);
}

void Items::erase(const api::ObjectKey& key, ItemId id) {
  forgetAddresses(id);
  byName_.erase(std::hash<api::ObjectKey>{}(key), id);
  if (items_[id].endpoint) --endpoints_;
  items_[id] = Item{};
  free_.push_back(id);
}

void Items::indexAddresses(ItemId id) {
  items_[id].forEachPrefix(
      [&](const Prefix& prefix) { byAddress_.insert(std::hash<Prefix>{}(prefix), id); });
}

void Items::forgetAddresses(ItemId id) {
  items_[id].forEachPrefix(
      [&](const Prefix& prefix) { byAddress_.erase(std::hash<Prefix>{}(prefix), id); });
}

}  // namespace margay::controllers
