#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"
#include "controllers/policy/label_index.h"
#include "controllers/policy/resolved_lists.h"

namespace margay::controllers {

struct PolicyRecord {
  api::ObjectKey key;
  Shared<api::Policy> policy;
  std::string name;      ///< "namespace/name" or "name"
  std::string tieBreak;  ///< "name/namespace/kind"
  SelectorId selector = 0;
  bool active = false;  ///< selects a local endpoint
  ListPair lists;       ///< resolved while active, and as long after as a group needs it

  /// Whether `a` applies before `b` in one tier, as Felix sorts.
  [[nodiscard]] static bool before(const PolicyRecord& a, const PolicyRecord& b);
};

/// All policies, and the rule lists of those that select local endpoints. One thread.
class PolicyTable {
 public:
  /// `local` is the index of the local endpoints.
  PolicyTable(LabelIndex& local, ResolvedLists& lists) : local_(local), lists_(lists) {}

  /// Null removes. Adds the local classes that it applied to and applies to now to `dirty`.
  void set(const api::ObjectKey& key, Shared<api::Policy> policy, std::set<ClassId>& dirty);
  /// A local class begins or ceases to match.
  void onMatchChange(SelectorId selector);
  /// Brings `active` and `lists` up to date.
  void refresh();
  /// Forgets the lists of policies that are not active and that no group holds.
  void dropIdle();

  [[nodiscard]] const std::vector<PolicyRecord*>& of(SelectorId selector) const;
  [[nodiscard]] const std::map<api::ObjectKey, PolicyRecord>& all() const { return records_; }
  /// How many are active, as of the last refresh. O(1).
  [[nodiscard]] std::size_t activeCount() const { return active_; }

 private:
  void listen(PolicyRecord& record);
  void ignore(PolicyRecord& record);

  LabelIndex& local_;
  ResolvedLists& lists_;
  std::map<api::ObjectKey, PolicyRecord> records_;
  std::vector<std::vector<PolicyRecord*>> bySelector_;
  std::set<PolicyRecord*> dirty_;
  std::set<PolicyRecord*> idle_;  // resolved, not active
  std::size_t active_ = 0;
};

/// What a policy or profile gives to resolve.
[[nodiscard]] RuleSource ruleSource(const api::Policy& policy);
[[nodiscard]] RuleSource ruleSource(const api::Profile& profile);

}  // namespace margay::controllers
