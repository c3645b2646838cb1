#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "tests/controllers/engine_fixture.h"
#include "tests/controllers/engine_world.h"
#include "tests/controllers/naive_policy.h"

namespace margay::controllers {
namespace {

using Sets = naive::Sets;

/// All that an engine shows, in values that compare.
struct Shown {
  Sets sets;
  std::map<api::ObjectKey,
           std::tuple<std::vector<EndpointTier>, std::string, std::string, std::string>>
      endpoints;
  std::map<std::pair<std::string, api::PolicyDirection>, std::vector<api::ObjectKey>> groups;
  std::map<api::ObjectKey, std::tuple<bool, std::string, std::string>> policies;
  bool operator==(const Shown&) const = default;
};

Sets setsOf(const PolicyEngine& engine) {
  Sets out;
  for (const auto& set : engine.sets()) out[set.id] = {set.members.begin(), set.members.end()};
  return out;
}

Shown shown(const PolicyEngine& engine) {
  Shown out;
  out.sets = setsOf(engine);
  for (const auto& view : engine.endpoints()) {
    out.endpoints[test::keyOf(*view->endpoint)] = {view->tiers, view->ingress->hash,
                                                   view->egress->hash, view->interfaceName};
  }
  for (const auto& view : engine.groups())
    out.groups[{view.group->hash, view.group->direction}] = view.members;
  for (const auto& view : engine.policies())
    out.policies[view.key] = {view.active, view.ingress->hash, view.egress->hash};
  return out;
}

Shown shownByFreshEngine(const naive::Objects& objects, RandomWorld& world) {
  std::vector<api::Update> updates;
  for (const auto& [key, value] : objects) updates.push_back({key, value});
  std::shuffle(updates.begin(), updates.end(), world.random());
  PolicyEngine fresh({"n1", "cali"});
  for (const auto& update : updates) fresh.update(update);
  (void)fresh.flush({});
  return shown(fresh);
}

void note(naive::Objects& objects, const api::Update& update) {
  if (update.value) {
    objects.insert_or_assign(update.key, *update.value);
  } else {
    objects.erase(update.key);
  }
}

void expectMirrorsViews(const DeltaMirror& mirror, const PolicyEngine& engine) {
  RC_ASSERT(Sets(mirror.sets) == setsOf(engine));
  std::map<api::ObjectKey, std::shared_ptr<const LocalEndpoint>> endpoints;
  for (const auto& view : engine.endpoints()) endpoints[test::keyOf(*view->endpoint)] = view;
  RC_ASSERT(mirror.endpoints == endpoints);
  std::set<GroupPtr> groups;
  for (const auto& view : engine.groups()) groups.insert(view.group);
  RC_ASSERT(mirror.groups == groups);
}

void expectAsNaive(const naive::Objects& objects, const PolicyEngine& engine) {
  RC_ASSERT(setsOf(engine) == naive::sets(objects, "n1"));
  const auto here = naive::locals(objects, "n1");
  const auto views = engine.endpoints();
  RC_ASSERT(views.size() == here.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    RC_ASSERT(*views[i]->endpoint == *here[i].second);
    RC_ASSERT(views[i]->tiers == naive::tiersOf(objects, *here[i].second));
  }
  for (const auto& view : engine.policies())
    RC_ASSERT(view.active == naive::isActive(objects, "n1", *view.policy));
}

RC_GTEST_PROP(EngineProperty, TheOutcomeDependsOnTheFinalObjectsOnly, (std::uint32_t seed)) {
  RandomWorld world(seed);
  PolicyEngine engine({"n1", "cali"});
  DeltaMirror mirror;
  naive::Objects objects;
  TimePoint now{};
  const auto steps = 20 + world.below(150);
  for (std::size_t i = 0; i < steps; ++i) {
    const auto update = world.update();
    engine.update(update);
    note(objects, update);
    now += std::chrono::minutes(world.below(2));
    if (world.chance(4)) mirror.apply(engine.flush(now));
    if (world.chance(10)) mirror.apply(engine.collect(now));
  }
  mirror.apply(engine.flush(now));
  expectMirrorsViews(mirror, engine);
  mirror.apply(engine.collect(now + kEmptyGroupStays));
  expectMirrorsViews(mirror, engine);
  RC_ASSERT(!engine.nextCollect());
  expectAsNaive(objects, engine);
  RC_ASSERT(shown(engine) == shownByFreshEngine(objects, world));
  const auto policies = engine.policies();
  const auto active = std::count_if(policies.begin(), policies.end(),
                                    [](const PolicyView& policy) { return policy.active; });
  RC_ASSERT(engine.counts().activePolicies == static_cast<std::size_t>(active));
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(EngineProperty, WithEverythingGoneNothingIsLeft, (std::uint32_t seed)) {
  RandomWorld world(seed);
  PolicyEngine engine({"n1", "cali"});
  naive::Objects objects;
  for (std::size_t i = 0; i < 100; ++i) {
    const auto update = world.update();
    engine.update(update);
    note(objects, update);
    if (world.chance(5)) (void)engine.flush({});
  }
  for (const auto& [key, value] : objects) engine.update({key, std::nullopt});
  (void)engine.collect(TimePoint{} + kEmptyGroupStays);
  (void)engine.collect(TimePoint{} + 2 * kEmptyGroupStays);
  RC_ASSERT(shown(engine) == Shown{});
  RC_ASSERT(engine.counts().clusterEndpoints == 0U);
}

}  // namespace
}  // namespace margay::controllers
