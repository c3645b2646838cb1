#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controllers/policy/engine.h"
#include "controllers/policy/groups.h"
#include "tests/controllers/builders.h"

namespace margay::controllers {

/// What someone who only sees deltas knows.
class DeltaMirror {
 public:
  std::map<SetId, std::set<dataplane::SetMember>> sets;
  std::map<api::ObjectKey, std::shared_ptr<const LocalEndpoint>> endpoints;
  std::set<GroupPtr> groups;

  void apply(const PolicyDelta& delta) {
    for (const auto& id : delta.setsAdded) EXPECT_TRUE(sets.try_emplace(id).second) << id.selector;
    for (const auto& change : delta.members) applyMembers(change);
    for (const auto& id : delta.setsRemoved) EXPECT_EQ(sets.erase(id), 1U) << id.selector;
    for (const auto& view : delta.endpointsChanged) endpoints[test::keyOf(*view->endpoint)] = view;
    for (const auto& key : delta.endpointsRemoved) EXPECT_EQ(endpoints.erase(key), 1U) << key.str();
    for (const auto& group : delta.groupsAdded) EXPECT_TRUE(groups.insert(group).second);
    for (const auto& group : delta.groupsRemoved) EXPECT_EQ(groups.erase(group), 1U);
  }

 private:
  void applyMembers(const SetMembersChange& change) {
    ASSERT_TRUE(sets.contains(change.set)) << change.set.selector;
    auto& members = sets[change.set];
    for (const auto& member : change.added)
      EXPECT_TRUE(members.insert(member).second) << member.str();
    for (const auto& member : change.removed) EXPECT_EQ(members.erase(member), 1U) << member.str();
  }
};

/// An engine for node n1 with helpers to say what it should hold.
class EngineTest : public ::testing::Test {
 protected:
  PolicyEngine engine{{"n1", "cali"}};
  DeltaMirror mirror;
  TimePoint now{};

  template <class... Values>
  PolicyDelta put(Values... values) {
    (engine.update(test::put(std::move(values))), ...);
    return flush();
  }
  template <class Value>
  PolicyDelta gone(const Value& value) {
    engine.update(test::gone(value));
    return flush();
  }
  PolicyDelta flush() {
    auto delta = engine.flush(now);
    mirror.apply(delta);
    return delta;
  }
  PolicyDelta collect() {
    auto delta = engine.collect(now);
    mirror.apply(delta);
    return delta;
  }

  [[nodiscard]] std::shared_ptr<const LocalEndpoint> endpoint(const std::string& workload) const {
    for (const auto& view : engine.endpoints()) {
      if (view->endpoint->workload() == workload) return view;
    }
    return nullptr;
  }
  /// Members of the set with this canonical selector, as text; {"none"} if there is no such set.
  [[nodiscard]] std::vector<std::string> members(const std::string& selector,
                                                 SetKind kind = SetKind::Selector) const {
    for (const auto& set : engine.sets()) {
      if (set.id.selector == selector && set.id.kind == kind) return texts(set);
    }
    return {"none"};
  }
  [[nodiscard]] std::vector<std::string> members(const api::ServiceRef& service,
                                                 SetKind kind) const {
    for (const auto& set : engine.sets()) {
      if (set.id.service == service && set.id.kind == kind) return texts(set);
    }
    return {"none"};
  }
  [[nodiscard]] std::vector<std::string> selectors() const {
    std::vector<std::string> out;
    for (const auto& set : engine.sets()) out.push_back(set.id.selector);
    return out;
  }

 private:
  static std::vector<std::string> texts(const Membership::View& set) {
    std::vector<std::string> out;
    for (const auto& member : set.members) out.push_back(member.str());
    return out;
  }
};

}  // namespace margay::controllers
