#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "base/address.h"

namespace margay::dataplane {

/// Which prefixes of a set an interval set of nf_tables must hold: its intervals may not overlap,
/// so a prefix inside another one of the set stays out, and comes in when that one goes. Pure. One
/// thread; one object a set and family.
class PrefixCover {
 public:
  struct Change {
    std::vector<Prefix> removed;  ///< to be taken out first
    std::vector<Prefix> added;
  };
  using Visit = std::function<void(const Prefix&)>;

  /// `member` is new in the set. `forEachHeld` visits what the interval set holds; it is called
  /// only where a prefix that is no single address comes. O(lengths in use), or O(held) then.
  Change add(const Prefix& member, const std::function<void(const Visit&)>& forEachHeld);
  /// `member` left the set. O(lengths in use + members within it).
  Change remove(const Prefix& member);

 private:
  [[nodiscard]] bool covered(const Prefix& member) const;
  void count(const Prefix& net, int by);

  std::set<Prefix> nets_;                   // members that are no single addresses
  std::set<Prefix> hidden_;                 // members that another one covers
  std::array<std::size_t, 129> lengths_{};  // of nets_
};

}  // namespace margay::dataplane
