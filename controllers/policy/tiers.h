#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/model/object.h"

namespace margay::controllers {

/// Tiers by name. `default` exists without being written, with order 1,000,000 and action Deny; a
/// tier that is only named by policies does not exist. One thread.
class Tiers {
 public:
  using TierPtr = std::shared_ptr<const api::Tier>;

  /// Null removes. Whether anything changed.
  bool set(const std::string& name, TierPtr tier);
  /// Null if it does not exist.
  [[nodiscard]] TierPtr find(const std::string& name) const;
  /// Whether `a` applies before `b`: by order, none last, then by name.
  [[nodiscard]] static bool before(const api::Tier& a, const api::Tier& b);

 private:
  std::map<std::string, TierPtr> tiers_;
};

}  // namespace margay::controllers
