#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "controllers/policy/membership.h"
#include "controllers/policy/model.h"
#include "controllers/policy/resolve.h"

namespace margay::controllers {

/// Rule lists by content. A list is current while a policy or profile has exactly these rules, and
/// in use while an active policy, an active profile or a group needs it: then its sets are kept.
/// One thread.
class ResolvedLists {
 public:
  struct Entry {
    RuleListPtr list;
    std::vector<SetNeed> needs;
    std::vector<SetIndex> sets;  ///< while in use
    std::uint32_t owners = 0;
    std::uint32_t uses = 0;
    [[nodiscard]] bool current() const { return owners > 0; }
  };

  explicit ResolvedLists(Membership& membership) : membership_(membership) {}

  /// One owner more of the list that these rules make. The entry stays until nobody owns or uses
  /// it.
  Entry* own(const std::string& label, const std::string& tier, ResolvedRules rules);
  void disown(Entry* entry);
  void use(Entry* entry);
  void unuse(Entry* entry);
  /// Of a list that is in use or owned.
  [[nodiscard]] Entry* entryOf(const RuleList& list) { return &byHash_.at(list.hash); }

 private:
  void dropIfUnneeded(Entry* entry);

  Membership& membership_;
  std::unordered_map<std::string, Entry> byHash_;
};

/// The rules of a policy or profile in both directions. Empty label and tier for profiles.
struct RuleSource {
  std::string label;
  std::string tier;
  std::string_view ns;
  const std::vector<api::PolicyRule>& ingress;
  const std::vector<api::PolicyRule>& egress;
};

/// The lists of one policy or profile: owned while they are its current rules, in use while it is
/// active.
class ListPair {
 public:
  void resolve(ResolvedLists& lists, const RuleSource& source);
  /// Neither owned nor in use from here on.
  void forget(ResolvedLists& lists);
  void setUsed(ResolvedLists& lists, bool used);

  [[nodiscard]] bool resolved() const { return ingress_ != nullptr; }
  /// Something else, which is a group, uses one of them too.
  [[nodiscard]] bool heldByGroup() const;
  /// Of a resolved pair.
  [[nodiscard]] const RuleListPtr& of(api::PolicyDirection direction) const {
    return direction == api::PolicyDirection::Ingress ? ingress_->list : egress_->list;
  }

 private:
  ResolvedLists::Entry* ingress_ = nullptr;
  ResolvedLists::Entry* egress_ = nullptr;
  bool used_ = false;
};

}  // namespace margay::controllers
