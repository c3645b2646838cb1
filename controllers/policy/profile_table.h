#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/model/policy.h"
#include "base/shared.h"
#include "controllers/policy/resolved_lists.h"

namespace margay::controllers {

/// All profiles, and the rule lists of those that local endpoints have.
/// `projectcalico-default-allow` exists without being written and allows everything. One thread.
class ProfileTable {
 public:
  using ProfilePtr = Shared<api::Profile>;
  explicit ProfileTable(ResolvedLists& lists) : lists_(lists) {}

  /// Null removes. Whether the rules of a profile in use may have changed.
  bool set(const std::string& name, ProfilePtr profile);
  /// One local class more has these profiles, whether they exist or not.
  void addUse(const std::vector<std::string>& names);
  void dropUse(const std::vector<std::string>& names);
  /// Resolves what is in use.
  void refresh();
  /// Forgets the lists of profiles that are not in use and that no group holds.
  void dropIdle();
  /// After `refresh`, of those that exist and are in use.
  [[nodiscard]] std::vector<RuleListPtr> lists(const std::vector<std::string>& names,
                                               api::PolicyDirection direction) const;

 private:
  struct Record {
    ProfilePtr profile;  ///< null: does not exist
    std::uint32_t uses = 0;
    ListPair lists;
  };
  void dropIfUnneeded(const std::string& name);

  ResolvedLists& lists_;
  std::map<std::string, Record> records_;
  std::set<std::string> dirty_;
  std::set<std::string> idle_;  // resolved, not in use
};

}  // namespace margay::controllers
