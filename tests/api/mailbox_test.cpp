#include "api/store/mailbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ObjectKey tierKey(const std::string& name) {
  return {Kind::Tier, {}, name};
}
Update tier(const std::string& name, double order) {
  return {tierKey(name), Value(share(Tier{.name = name, .order = order}))};
}
double orderOf(const Update& update) {
  return *std::get<Shared<Tier>>(*update.value)->order;
}
bool readable(const Mailbox& box) {
  pollfd poller{box.fd(), POLLIN, 0};
  return ::poll(&poller, 1, 0) == 1;
}

TEST(Mailbox, KeepsTheNewestValueOfAKeyInOrderOfFirstArrival) {
  Mailbox box;
  box.post("file", {}, {tier("a", 1), tier("b", 1)});
  box.post("file", {}, {tier("c", 1), tier("a", 2)});
  const auto batch = box.take();
  ASSERT_EQ(batch.updates.size(), 3U);
  EXPECT_EQ(batch.updates[0].key, tierKey("a"));
  EXPECT_EQ(orderOf(batch.updates[0]), 2);
  EXPECT_EQ(batch.updates[2].key, tierKey("c"));
  EXPECT_TRUE(batch.firstArrival);
}

TEST(Mailbox, ADeletionReplacesTheValueBeforeIt) {
  Mailbox box;
  box.post("file", {}, {tier("a", 1)});
  box.post("file", {}, {{tierKey("a"), std::nullopt}});
  const auto batch = box.take();
  ASSERT_EQ(batch.updates.size(), 1U);
  EXPECT_FALSE(batch.updates[0].value);
}

TEST(Mailbox, KeepsTheNewestStateOfEachSource) {
  Mailbox box;
  box.post("file", {.connected = true}, {});
  box.post("etcd", {.resyncs = 4}, {});
  box.post("file", {.connected = true, .synced = true}, {});
  const auto batch = box.take();
  EXPECT_EQ(batch.states.size(), 2U);
  EXPECT_TRUE(batch.states.at("file").synced);
  EXPECT_EQ(batch.states.at("etcd").resyncs, 4U);
}

TEST(Mailbox, IsReadableWhileThereIsSomethingToTake) {
  Mailbox box;
  EXPECT_FALSE(readable(box));
  box.postBarrier(7);
  box.post("file", {}, {});
  EXPECT_TRUE(readable(box));
  EXPECT_THAT(box.take().barriers, ElementsAre(7));
  EXPECT_FALSE(readable(box));
  const auto empty = box.take();
  EXPECT_THAT(empty.updates, IsEmpty());
  EXPECT_FALSE(empty.firstArrival);
}

TEST(Mailbox, LosesNothingBetweenThreads) {
  constexpr int kSources = 3;
  constexpr int kRounds = 500;
  Mailbox box;
  std::vector<std::thread> posters;
  for (int source = 0; source < kSources; ++source) {
    posters.emplace_back([&box, source] {
      const std::string name = "source" + std::to_string(source);
      for (int i = 1; i <= kRounds; ++i) {
        box.post(name, {.resyncs = static_cast<std::uint64_t>(i)},
                 {tier(name, i), tier(name + "-" + std::to_string(i % 7), i)});
      }
      box.postBarrier(static_cast<std::uint64_t>(source));
    });
  }
  std::map<std::string, double> newest;
  std::size_t barriers = 0;
  while (barriers < kSources) {
    pollfd poller{box.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&poller, 1, 20000), 1);
    const auto batch = box.take();
    for (const Update& update : batch.updates) {
      EXPECT_GE(orderOf(update), newest[update.key.name]);
      newest[update.key.name] = orderOf(update);
    }
    barriers += batch.barriers.size();
  }
  for (auto& poster : posters) poster.join();
  for (int source = 0; source < kSources; ++source)
    EXPECT_EQ(newest["source" + std::to_string(source)], kRounds);
}

}  // namespace
}  // namespace margay::api
