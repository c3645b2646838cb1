#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/model/object.h"
#include "base/shared.h"

namespace margay::controllers {

/// A tier as the policies that name it meet it.
struct TierInForce {
  std::string name;
  bool exists = true;  ///< false: only policies name it; it comes after all that exist and denies
  std::optional<double> order;
  api::TierDefault defaultAction = api::TierDefault::Deny;
  /// Whether `a` applies before `b`: by order, none last, then by name.
  [[nodiscard]] static bool before(const TierInForce& a, const TierInForce& b);
};

/// Tiers by name. Those that are built in (`api::builtInTier`) exist without being written. One
/// thread.
class Tiers {
 public:
  using TierPtr = Shared<api::Tier>;

  /// Null removes. Whether anything changed.
  bool set(const std::string& name, TierPtr tier);
  [[nodiscard]] TierInForce find(const std::string& name) const;

 private:
  std::map<std::string, TierPtr> tiers_;
};

}  // namespace margay::controllers
