#include "controllers/policy/tiers.h"

#include <string_view>
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

TierInForce Tiers::find(const std::string& name) const {
  if (const auto found = tiers_.find(name); found != tiers_.end())
    return {name, true, found->second->order, found->second->defaultAction};
  if (const auto builtIn = api::builtInTier(name))
    return {name, true, builtIn->order, builtIn->defaultAction};
  return {name, false, std::nullopt};
}

bool TierInForce::before(const TierInForce& a, const TierInForce& b) {
  const auto rank = [](const TierInForce& tier) {
    return std::tuple(!tier.exists, !tier.order.has_value(), tier.order.value_or(0),
                      std::string_view(tier.name));
  };
  return rank(a) < rank(b);
}

}  // namespace margay::controllers
