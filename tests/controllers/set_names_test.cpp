#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/policy/model.h"

namespace margay::controllers {
namespace {

using ::testing::Le;
using ::testing::SizeIs;
using ::testing::StartsWith;

SetId selectorSet(std::string selector) {
  return {.kind = SetKind::Selector, .selector = std::move(selector)};
}

TEST(SetNames, SayWhatTheSetIsAndFitTheKernel) {
  const auto id = selectorSet(
      R"((projectcalico.org/namespace == "default" && (projectcalico.org/orchestrator == "k8s" && role == "fe")))");
  const auto name = setName(id, Family::V4);
  EXPECT_THAT(name, StartsWith("mgy4-s-default-rol"));
  EXPECT_THAT(name, SizeIs(Le(31U)));
  EXPECT_THAT(setName(id, Family::V6), StartsWith("mgy6-s-default-rol"));
}

TEST(SetNames, DifferForEveryPartOfTheIdentity) {
  const SetId base{
      .kind = SetKind::NamedPort, .selector = "all()", .protocol = 6, .portName = "http"};
  SetId udp = base;
  udp.protocol = 17;
  SetId other = base;
  other.portName = "https";
  EXPECT_NE(setName(base, Family::V4), setName(udp, Family::V4));
  EXPECT_NE(setName(base, Family::V4), setName(other, Family::V4));
  const SetId service{.kind = SetKind::Service, .service = {"a", "b"}};
  SetId noPort = service;
  noPort.kind = SetKind::ServiceNoPort;
  EXPECT_NE(setName(service, Family::V4), setName(noPort, Family::V4));
}

TEST(SetNames, NoReadableWordsLeaveTheHash) {
  EXPECT_THAT(setName(selectorSet("!!"), Family::V4), SizeIs(7 + 12U));
}

TEST(SetNames, TypesFollowTheKind) {
  EXPECT_EQ(setType(SetKind::Selector), dataplane::SetType::HashNet);
  EXPECT_EQ(setType(SetKind::ServiceNoPort), dataplane::SetType::HashNet);
  EXPECT_EQ(setType(SetKind::NamedPort), dataplane::SetType::HashIpPort);
  EXPECT_EQ(setType(SetKind::Service), dataplane::SetType::HashIpPort);
}

}  // namespace
}  // namespace margay::controllers
