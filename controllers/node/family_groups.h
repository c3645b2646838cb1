#pragma once

#include <map>
#include <string>
#include <vector>

#include "controllers/policy/dispatch.h"
#include "controllers/policy/model.h"
#include "controllers/policy/rules.h"

namespace margay::controllers {

/// The groups that one family has in the kernel: those that had a member which may send from an
/// address of the family. In a cluster of IPv4 alone the IPv6 tables hold no policy: nothing could
/// reach it. One thread.
class FamilyGroups {
 public:
  FamilyGroups(Family family, const RuleOptions& rules) : family_(family), chains_(family, rules) {}

  /// The endpoint is a member of its groups. Once here a group stays until `remove`, so that an
  /// address that comes and goes commits no table.
  void join(const LocalEndpoint& endpoint);
  /// The group has been here before.
  void keep(const GroupPtr& group);
  /// The group is gone, with all members.
  void remove(const Group& group);

  struct Change {
    bool groups = false;   ///< groups came or went since the last call
    bool entries = false;  ///< and members of other groups have other entries now
  };
  /// Brings the layouts up to date.
  Change layOut();
  [[nodiscard]] const DispatchLayout& ingress() const { return ingress_; }
  [[nodiscard]] const DispatchLayout& egress() const { return egress_; }
  [[nodiscard]] const ChainMap& chains() const { return chains_.chains(); }
  [[nodiscard]] std::vector<GroupPtr> all() const;

 private:
  [[nodiscard]] bool concerns(const LocalEndpoint& endpoint) const;

  Family family_;
  GroupChains chains_;
  std::map<std::string, GroupPtr> groups_[2];  // by direction, then hash
  DispatchLayout ingress_{api::PolicyDirection::Ingress, {}};
  DispatchLayout egress_{api::PolicyDirection::Egress, {}};
  bool changed_ = true;
};

}  // namespace margay::controllers
