#pragma once

#include <map>
#include <utility>

#include "controllers/node/desired_change.h"
#include "controllers/policy/rules.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"

namespace margay::controllers {

/// For nf_tables: which selector sets of a family hold nothing but single addresses, as nearly all
/// do. Those are hashes; intervals, which nets need, cost a packet twenty times as much. A set that
/// gets its first net has another name from then on, and the chains that ask it are rewritten in
/// the same transaction. Pure; the thread of its owner.
class AddressSets {
 public:
  /// `plain` is what `setName` says. Returns whether the set had nets or none before, and is of the
  /// other kind now.
  bool count(const dataplane::SetName& plain, const MembersChange& change);
  void forget(const dataplane::SetName& plain) { nets_.erase(plain); }
  [[nodiscard]] bool hasNets(const dataplane::SetName& plain) const {
    return nets_.contains(plain);
  }
  /// Name and type of the kernel's set.
  [[nodiscard]] std::pair<dataplane::SetName, dataplane::SetType> layout(
      const dataplane::SetName& plain) const;
  /// The chains with the names of sets that have nets. Where a chain asks none of those, or is what
  /// it was at the last call, the rules are the same object. O(chains), and O(rules) if any set has
  /// nets.
  ChainMap renamed(const ChainMap& chains);

 private:
  [[nodiscard]] dataplane::ChainRules withNames(const dataplane::ChainRules& rules) const;

  struct Renamed {
    dataplane::ChainRules from;
    dataplane::ChainRules to;
  };
  std::map<dataplane::SetName, std::size_t> nets_;  // how many; none: no entry
  std::map<dataplane::ChainName, Renamed> renamed_;
};

/// "mgy4-n-..." for "mgy4-s-...": a selector's set of intervals.
[[nodiscard]] dataplane::SetName intervalSetName(const dataplane::SetName& plain);

}  // namespace margay::controllers
