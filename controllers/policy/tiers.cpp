#include "controllers/policy/tiers.h"

#include <limits>
#include <tuple>
#include <utility>

namespace margay::controllers {

bool Tiers::set(const std::string& name, TierPtr tier) {
  const auto found = tiers_.find(name);
  if (!tier) {
    if (found == tiers_.end()) return false;
    tiers_.erase(found);
    return true;
  }
  if (found != tiers_.end() && *found->second == *tier) return false;
  tiers_.insert_or_assign(name, std::move(tier));
  return true;
}

Tiers::TierPtr Tiers::find(const std::string& name) const {
  static const auto kDefault = std::make_shared<const api::Tier>(
      api::Tier{"default", api::kDefaultTierOrder, api::TierDefault::Deny});
  if (const auto found = tiers_.find(name); found != tiers_.end()) return found->second;
  return name == kDefault->name ? kDefault : nullptr;
}

bool Tiers::before(const api::Tier& a, const api::Tier& b) {
  const auto rank = [](const api::Tier& tier) {
    return std::tuple(!tier.order.has_value(), tier.order.value_or(0), std::string_view(tier.name));
  };
  return rank(a) < rank(b);
}

}  // namespace margay::controllers
