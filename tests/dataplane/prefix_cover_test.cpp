#include "dataplane/prefix_cover.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace margay::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Prefix net(const char* text) {
  return *Prefix::parseNetwork(text);
}

/// A cover with the interval set that follows it.
struct World {
  PrefixCover cover;
  std::set<Prefix> held;

  PrefixCover::Change add(const Prefix& member) {
    return follow(cover.add(member, [this](const PrefixCover::Visit& visit) {
      for (const Prefix& one : held) visit(one);
    }));
  }
  PrefixCover::Change remove(const Prefix& member) { return follow(cover.remove(member)); }
  PrefixCover::Change follow(PrefixCover::Change change) {
    for (const Prefix& one : change.removed) EXPECT_EQ(held.erase(one), 1U) << one.str();
    for (const Prefix& one : change.added) EXPECT_TRUE(held.insert(one).second) << one.str();
    return change;
  }
};

TEST(PrefixCover, AWiderPrefixTakesThePlaceOfWhatItCovers) {
  World world;
  world.add(net("10.0.0.1"));
  world.add(net("10.1.0.0/16"));
  world.add(net("11.0.0.1"));
  const auto change = world.add(net("10.0.0.0/8"));
  EXPECT_THAT(change.removed, UnorderedElementsAre(net("10.0.0.1"), net("10.1.0.0/16")));
  EXPECT_THAT(change.added, ElementsAre(net("10.0.0.0/8")));
  EXPECT_THAT(world.add(net("10.2.0.7")).added, IsEmpty());
  EXPECT_THAT(world.held, UnorderedElementsAre(net("10.0.0.0/8"), net("11.0.0.1")));
}

TEST(PrefixCover, WhatWasCoveredComesApartAgain) {
  World world;
  for (const char* text : {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.9.9.9"})
    world.add(net(text));
  EXPECT_THAT(world.remove(net("10.9.9.9")).removed, IsEmpty());
  const auto change = world.remove(net("10.0.0.0/8"));
  EXPECT_THAT(change.removed, ElementsAre(net("10.0.0.0/8")));
  EXPECT_THAT(change.added, ElementsAre(net("10.1.0.0/16")));
  EXPECT_THAT(world.remove(net("10.1.0.0/16")).added, ElementsAre(net("10.1.2.3")));
}

RC_GTEST_PROP(PrefixCover, HoldsTheWidestPrefixesOfTheSetAndNothingElse, (bool v4)) {
  World world;
  std::set<Prefix> members;
  const auto steps = *rc::gen::inRange(0, 60);
  for (int i = 0; i < steps; ++i) {
    const int bits = v4 ? 32 : 128;
    // Few addresses and lengths, so that nets meet.
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(bits / 8), 0);
    bytes.back() = static_cast<std::uint8_t>(*rc::gen::inRange(0, 16));
    const auto length = static_cast<std::uint8_t>(bits - *rc::gen::inRange(0, 5));
    const Prefix member = Prefix{Address::fromBytes(bytes), length}.masked();
    if (members.contains(member)) {
      members.erase(member);
      world.remove(member);
    } else {
      members.insert(member);
      world.add(member);
    }
    std::set<Prefix> widest;
    for (const Prefix& one : members) {
      bool inside = false;
      for (const Prefix& other : members) inside = inside || (other != one && other.contains(one));
      if (!inside) widest.insert(one);
    }
    RC_ASSERT(world.held == widest);
  }
}

}  // namespace
}  // namespace margay::dataplane
