#include "controllers/policy/dispatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "tests/controllers/builders.h"
#include "tests/controllers/simulator.h"

namespace margay::controllers {
namespace {

using api::PolicyDirection;
using test::net;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

GroupPtr group(const std::string& hash, PolicyDirection direction = PolicyDirection::Egress) {
  auto out = std::make_shared<Group>();
  out->direction = direction;
  out->hash = hash;
  return out;
}
std::vector<GroupPtr> groups(std::size_t count) {
  std::vector<GroupPtr> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(group(contentHash(std::to_string(i), 16)));
  return out;
}
WorkloadInterface interface(const std::string& device, const std::vector<std::string>& addresses,
                            const std::vector<std::string>& sources = {}, GroupPtr ingress = {},
                            GroupPtr egress = {}) {
  auto endpoint = test::pod({.name = device, .addresses = addresses});
  endpoint.setDetails({.allowedSources = test::nets(sources)});
  auto local = std::make_shared<LocalEndpoint>();
  local->endpoint = share(std::move(endpoint));
  local->ingress = std::move(ingress);
  local->egress = std::move(egress);
  const auto& owned = local->endpoint->addresses;
  return {device, local, {owned.begin(), owned.end()}};
}
std::vector<std::string> lines(const std::vector<SetEntry>& entries) {
  std::vector<std::string> out;
  for (const auto& entry : entries)
    out.push_back(entry.set + ' ' + entry.member.net.str() + ' ' + entry.member.device.str());
  return out;
}
std::string textOf(ChainMap chains) {
  dataplane::RuleTable table;
  table.chains = std::move(chains);
  return sim::text(table);
}

TEST(Dispatch, AFewGroupsAreAskedOneAfterTheOther) {
  const std::vector<GroupPtr> two{group("bbbbbbbbbbbbbbbb"), group("aaaaaaaaaaaaaaaa"),
                                  group("cccccccccccccccc", PolicyDirection::Ingress)};
  EXPECT_EQ(
      textOf(dispatchChains(dispatchLayout(PolicyDirection::Egress, two), {}, Family::V4)),
      "mgy-from-dispatch: --match-set mgy4-go-aaaaaaaaaaaaaaaa src,src -g mgy-go-aaaaaaaaaaaaaaaa\n"
      "mgy-from-dispatch: --match-set mgy4-go-bbbbbbbbbbbbbbbb src,src -g "
      "mgy-go-bbbbbbbbbbbbbbbb\n");
  EXPECT_EQ(
      textOf(dispatchChains(dispatchLayout(PolicyDirection::Ingress, two), {}, Family::V6)),
      "mgy-to-dispatch: --match-set mgy6-gi-cccccccccccccccc dst,dst -g mgy-gi-cccccccccccccccc\n");
}

TEST(Dispatch, NoBucketHoldsMoreThanSixteenGroups) {
  EXPECT_EQ(dispatchLayout(PolicyDirection::Egress, groups(16)).buckets.size(), 1U);
  const auto layout = dispatchLayout(PolicyDirection::Egress, groups(200));
  std::size_t total = 0;
  for (const auto& bucket : layout.buckets) {
    EXPECT_LE(bucket.groups.size(), 16U);
    EXPECT_FALSE(bucket.bits.empty());
    total += bucket.groups.size();
  }
  EXPECT_EQ(total, 200U);
  EXPECT_LE(layout.buckets.size(), 32U);
}

TEST(Dispatch, OneGroupMoreConcernsItsBucketOnly) {
  const auto before = dispatchLayout(PolicyDirection::Egress, groups(200));
  const auto after = dispatchLayout(PolicyDirection::Egress, groups(201));
  std::size_t changed = 0;
  for (const auto& bucket : after.buckets) {
    if (std::find(before.buckets.begin(), before.buckets.end(), bucket) == before.buckets.end())
      ++changed;
    // Groups are compared by pointer, so look at their hashes.
    for (const auto& old : before.buckets) {
      if (old.bits != bucket.bits || old.groups.size() != bucket.groups.size()) continue;
      --changed;
      for (std::size_t i = 0; i < old.groups.size(); ++i)
        EXPECT_EQ(old.groups[i]->hash, bucket.groups[i]->hash);
    }
  }
  EXPECT_LE(changed, 2U);
}

TEST(Dispatch, SetNamesFitTheKernel) {
  const auto layout = dispatchLayout(PolicyDirection::Egress, groups(3000));
  std::set<std::string> names;
  for (const auto& spec : dispatchSets(layout, Family::V6)) {
    EXPECT_LE(spec.name.size(), 31U);
    EXPECT_TRUE(names.insert(spec.name).second);
    EXPECT_EQ(spec.type, dataplane::SetType::HashNetIface);
    EXPECT_EQ(spec.family, Family::V6);
  }
}

TEST(Dispatch, AnInterfaceJoinsItsGroupsInEachFamily) {
  const auto in = group("cccccccccccccccc", PolicyDirection::Ingress);
  const auto out = group("aaaaaaaaaaaaaaaa");
  const std::vector<GroupPtr> all{in, out};
  const auto both =
      interface("cali1", {"10.0.0.1", "fd00::1"}, {"10.9.0.0/16", "0.0.0.0/0"}, in, out);
  const auto entries = [&](Family family) {
    return dispatchEntries(both, family, dispatchLayout(PolicyDirection::Ingress, all),
                           dispatchLayout(PolicyDirection::Egress, all), {net("0.0.0.0/0")});
  };
  EXPECT_THAT(lines(entries(Family::V4).groups),
              ElementsAre("mgy4-gi-cccccccccccccccc 10.0.0.1/32 cali1",
                          "mgy4-gi-cccccccccccccccc 10.9.0.0/16 cali1",
                          "mgy4-go-aaaaaaaaaaaaaaaa 10.0.0.1/32 cali1",
                          "mgy4-go-aaaaaaaaaaaaaaaa 10.9.0.0/16 cali1"));
  EXPECT_THAT(lines(entries(Family::V4).local),
              ElementsAre("mgy4-local 10.0.0.1/32 cali1", "mgy4-local 10.9.0.0/16 cali1"));
  EXPECT_THAT(lines(entries(Family::V6).groups),
              ElementsAre("mgy6-gi-cccccccccccccccc fd00::1/128 cali1",
                          "mgy6-go-aaaaaaaaaaaaaaaa fd00::1/128 cali1"));
  EXPECT_THAT(lines(entries(Family::V6).local), ElementsAre("mgy6-local fd00::1/128 cali1"));
}

TEST(Dispatch, ABucketIsJoinedBehindItsGroup) {
  const auto all = groups(20);
  const auto layout = dispatchLayout(PolicyDirection::Egress, all);
  const auto entries = dispatchEntries(interface("cali1", {"10.0.0.1"}, {}, {}, all[3]), Family::V4,
                                       dispatchLayout(PolicyDirection::Ingress, all), layout, {});
  ASSERT_EQ(entries.groups.size(), 2U);
  EXPECT_EQ(entries.groups[0].set, "mgy4-go-" + all[3]->hash);
  EXPECT_TRUE(entries.groups[1].set.starts_with("mgy4-bo-")) << entries.groups[1].set;
}

TEST(Dispatch, EachGroupIsJoinedByTheBucketThatHoldsIt) {
  const auto all = groups(200);
  const auto layout = dispatchLayout(PolicyDirection::Egress, all);
  const auto chains = dispatchChains(layout, {}, Family::V4);
  for (const auto& bucket : layout.buckets) {
    for (const auto& one : bucket.groups) {
      const auto entries = dispatchEntries(interface("cali1", {"10.0.0.1"}, {}, {}, one),
                                           Family::V4, {}, layout, {});
      ASSERT_EQ(entries.groups.size(), 2U);
      const auto chain = "mgy-" + entries.groups[1].set.substr(std::string("mgy4-").size());
      EXPECT_EQ(chains.at(chain)->size(), bucket.groups.size());
      EXPECT_THAT(textOf({{chain, chains.at(chain)}}), HasSubstr(one->hash));
    }
  }
}

TEST(Dispatch, PrefixesThatSetsCannotHoldAreRules) {
  std::vector<WorkloadInterface> interfaces;
  for (std::size_t i = 0; i < kInterfacesPerPrefix; ++i)
    interfaces.push_back(interface("cali" + std::to_string(i), {}, {"10.9.0.0/16"}));
  EXPECT_THAT(sharedPrefixes(interfaces), IsEmpty());
  interfaces.push_back(interface("calix", {}, {"10.9.0.0/16", "10.9.1.0/24"}));
  EXPECT_THAT(sharedPrefixes(interfaces), ElementsAre(net("10.9.0.0/16")));
  const auto sources = sharedSources(interfaces, sharedPrefixes(interfaces), Family::V4);
  EXPECT_EQ(sources.size(), kInterfacesPerPrefix + 1);
  const std::vector<WorkloadInterface> one{
      interface("cali1", {}, {"::/0", "fe80::/64", "169.254.0.0/16", "10.0.0.0/8"})};
  EXPECT_THAT(sharedPrefixes(one),
              ElementsAre(net("169.254.0.0/16"), net("::/0"), net("fe80::/64")));
}

TEST(Dispatch, SharedSourcesAreJudgedByTheGroupOfTheirInterface) {
  const auto in = group("cccccccccccccccc", PolicyDirection::Ingress);
  const auto out = group("aaaaaaaaaaaaaaaa");
  const std::vector<SharedSource> shared{{"cali1", net("0.0.0.0/0"), in, out},
                                         {"cali2", net("10.0.0.0/8"), in, out}};
  const std::vector<GroupPtr> all{in, out};
  EXPECT_EQ(
      textOf(dispatchChains(dispatchLayout(PolicyDirection::Egress, all), shared, Family::V4)),
      "mgy-from-dispatch: --match-set mgy4-go-aaaaaaaaaaaaaaaa src,src -g mgy-go-aaaaaaaaaaaaaaaa\n"
      "mgy-from-dispatch: -i cali1 -g mgy-go-aaaaaaaaaaaaaaaa\n"
      "mgy-from-dispatch: -i cali2 -s 10.0.0.0/8 -g mgy-go-aaaaaaaaaaaaaaaa\n");
  EXPECT_EQ(
      textOf(dispatchChains(dispatchLayout(PolicyDirection::Ingress, all), shared, Family::V4)),
      "mgy-to-dispatch: --match-set mgy4-gi-cccccccccccccccc dst,dst -g mgy-gi-cccccccccccccccc\n"
      "mgy-to-dispatch: -o cali1 -g mgy-gi-cccccccccccccccc\n"
      "mgy-to-dispatch: -o cali2 -d 10.0.0.0/8 -g mgy-gi-cccccccccccccccc\n");
}

TEST(Dispatch, AGroupsNumberIsTheBeginningOfItsHash) {
  const std::vector<GroupPtr> two{group("0badcafe00000000"), group("fffffffe00000000")};
  EXPECT_THAT(
      dispatchLayout(PolicyDirection::Egress, two).numbers,
      ElementsAre(Pair("0badcafe00000000", 0x0badcafe), Pair("fffffffe00000000", 0xfffffffe)));
}

TEST(Dispatch, NoTwoGroupsHaveOneNumberThoughTheirHashesBeginAlike) {
  const std::vector<GroupPtr> alike{group("0badcafe00000001"), group("0badcafe00000000"),
                                    group("0badcaff00000000"), group("ffffffff00000001"),
                                    group("ffffffff00000000"), group("0000000000000000")};
  const auto layout = dispatchLayout(PolicyDirection::Egress, alike);
  std::set<std::uint32_t> numbers;
  for (const auto& [hash, number] : layout.numbers) numbers.insert(number);
  EXPECT_EQ(numbers.size(), alike.size());
  auto turned = alike;
  std::reverse(turned.begin(), turned.end());
  EXPECT_EQ(dispatchLayout(PolicyDirection::Egress, turned), layout);
}

TEST(Dispatch, WithMapsOneLookUpFindsTheNumberAndOneItsChain) {
  const auto one = group("0badcafe00000000");
  const auto layout = dispatchLayout(PolicyDirection::Egress, std::vector{one});
  const auto entries =
      mapEntries(interface("cali1", {"10.0.0.1"}, {}, {}, one), Family::V4, {}, layout, {});
  ASSERT_EQ(entries.groups.size(), 1U);
  EXPECT_EQ(entries.groups.front().set, "mgy4-from");
  EXPECT_EQ(entries.groups.front().member.target.view(), "0x0badcafe");
  const MarkBits marks{0x10000, 0x20000};
  const auto chains = mapChains(layout, {}, Family::V4, marks);
  const auto& rules = *chains.at("mgy-from-dispatch");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(
      dataplane::ruleText(rules.front(), Family::V4),
      "-m comment --comment \"the number of the group, then its chain\" map src,src @mgy4-from "
      "mark & 0xfffcffff vmap { 0x0badcafe : goto mgy-go-0badcafe00000000 }");
  const DispatchLayout none{PolicyDirection::Egress, {}};
  EXPECT_EQ(mapChains(none, {}, Family::V4, marks).at("mgy-from-dispatch")->size(), 1U);
}

}  // namespace
}  // namespace margay::controllers
