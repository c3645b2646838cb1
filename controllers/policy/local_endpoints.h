#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"
#include "controllers/policy/groups.h"
#include "controllers/policy/label_index.h"
#include "controllers/policy/model.h"
#include "controllers/policy/policy_table.h"
#include "controllers/policy/profile_table.h"
#include "controllers/policy/tiers.h"

namespace margay::controllers {

/// The workloads of this node, their ordered policies and their groups. What applies to a workload
/// follows from its label class, so it is worked out once a class. One thread.
class LocalEndpoints {
 public:
  using EndpointPtr = Shared<api::WorkloadEndpoint>;
  using ViewPtr = std::shared_ptr<const LocalEndpoint>;
  /// What the endpoints' policies come from, all outliving this.
  struct Inputs {
    LabelIndex& index;
    PolicyTable& policies;
    ProfileTable& profiles;
    Tiers& tiers;
    Groups& groups;
  };
  LocalEndpoints(Inputs in, std::string interfacePrefix)
      : in_(in), prefix_(std::move(interfacePrefix)) {}

  /// Null removes.
  void set(const api::ObjectKey& key, EndpointPtr endpoint);
  void markDirty(ClassId id) { dirtyClasses_.insert(id); }
  std::set<ClassId>& dirtyClasses() { return dirtyClasses_; }
  void markAllDirty();
  void markProfileDirty(const std::string& profile);

  /// Works out what is dirty; after `refresh` of policies and profiles.
  void flush(PolicyDelta& delta);

  /// As of the last flush.
  [[nodiscard]] const std::map<api::ObjectKey, ViewPtr>& views() const { return views_; }

 private:
  struct Class {
    std::set<api::ObjectKey> members;
    std::vector<EndpointTier> tiers;
    GroupPtr ingress;
    GroupPtr egress;
  };
  struct Local {
    EndpointPtr endpoint;
    ClassId labelClass = 0;
  };
  void enter(const api::ObjectKey& key, ClassId id);
  void leave(const api::ObjectKey& key, ClassId id);
  void resolve(ClassId id, Class& of);
  [[nodiscard]] std::vector<const PolicyRecord*> policiesOf(ClassId id) const;
  [[nodiscard]] Group groupOf(ClassId id, const std::vector<const PolicyRecord*>& policies,
                              api::PolicyDirection direction) const;
  void flushEndpoint(const api::ObjectKey& key, PolicyDelta& delta);

  Inputs in_;
  std::string prefix_;
  std::map<api::ObjectKey, Local> locals_;
  std::map<ClassId, Class> classes_;
  std::map<api::ObjectKey, ViewPtr> views_;
  std::set<ClassId> dirtyClasses_;
  std::set<api::ObjectKey> dirty_;
};

}  // namespace margay::controllers
