#include "controllers/node/family_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "tests/controllers/builders.h"

namespace margay::controllers {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

GroupPtr group(api::PolicyDirection direction, const std::string& hash) {
  Group out;
  out.direction = direction;
  out.hash = hash;
  return std::make_shared<const Group>(std::move(out));
}

const GroupPtr kIngress = group(api::PolicyDirection::Ingress, "1111111111111111");
const GroupPtr kEgress = group(api::PolicyDirection::Egress, "2222222222222222");

LocalEndpoint member(const std::vector<std::string>& addresses, const char* allowed = nullptr) {
  auto pod = test::pod({.addresses = addresses});
  if (allowed != nullptr) {
    auto details = pod.details();
    details.allowedSources.push_back(test::net(allowed));
    pod.setDetails(std::move(details));
  }
  LocalEndpoint out;
  out.endpoint = share(std::move(pod));
  out.ingress = kIngress;
  out.egress = kEgress;
  return out;
}

TEST(FamilyGroups, AGroupIsWhereAMemberHasAnAddressOfTheFamily) {
  FamilyGroups v4(Family::V4, {});
  FamilyGroups v6(Family::V6, {});
  const auto plain = member({"10.0.0.1"});
  v4.join(plain);
  v6.join(plain);
  EXPECT_TRUE(v4.layOut().groups);
  EXPECT_THAT(v4.all(), SizeIs(2));
  EXPECT_THAT(v4.ingress().buckets, SizeIs(1));
  EXPECT_TRUE(v4.chains().contains(groupChainName(*kEgress)));
  v6.layOut();
  EXPECT_THAT(v6.all(), IsEmpty());
  EXPECT_THAT(v6.chains(), IsEmpty());

  v6.join(member({"10.0.0.1", "fd00::1"}));
  EXPECT_TRUE(v6.layOut().groups);
  EXPECT_THAT(v6.chains(), SizeIs(2));
}

TEST(FamilyGroups, APrefixThatAMemberMaySendFromCountsAsWell) {
  FamilyGroups v6(Family::V6, {});
  v6.join(member({"10.0.0.1"}, "::/0"));
  EXPECT_THAT(v6.all(), SizeIs(2));
}

TEST(FamilyGroups, AMemberMoreChangesNothingAndAGroupStaysUntilItIsRemoved) {
  FamilyGroups v4(Family::V4, {});
  v4.join(member({"10.0.0.1"}));
  EXPECT_TRUE(v4.layOut().groups);
  v4.join(member({"10.0.0.2"}));
  v4.join(member({}));
  EXPECT_FALSE(v4.layOut().groups);
  v4.remove(*kIngress);
  EXPECT_TRUE(v4.layOut().groups);
  EXPECT_THAT(v4.all(), SizeIs(1));
  v4.remove(*kIngress);
  EXPECT_FALSE(v4.layOut().groups);
}

TEST(FamilyGroups, OthersKeepTheirEntriesUntilABucketSplits) {
  FamilyGroups v4(Family::V4, {});
  const auto join = [&](int number) {
    auto endpoint = member({"10.0.0.1"});
    endpoint.ingress =
        group(api::PolicyDirection::Ingress, contentHash(std::to_string(number), 16));
    v4.join(endpoint);
    return v4.layOut();
  };
  EXPECT_TRUE(join(0).entries);
  for (int i = 1; i < static_cast<int>(kBucketGroups); ++i) {
    const auto change = join(i);
    EXPECT_TRUE(change.groups);
    EXPECT_FALSE(change.entries) << i;
  }
  EXPECT_TRUE(join(kBucketGroups).entries);
}

}  // namespace
}  // namespace margay::controllers
