#include "api/model/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EndpointIdentity, IsReadFromTheNameWithDoubledHyphens) {
  const EndpointIdentity identity{"node-1", "k8s", "web-7f-x", "eth0"};
  EXPECT_EQ(identity.name(), "node--1-k8s-web--7f--x-eth0");
  EXPECT_EQ(EndpointIdentity::parse(identity.name()), identity);
  EXPECT_EQ(EndpointIdentity::parse("a-b-c"), std::nullopt);
  EXPECT_EQ(EndpointIdentity::parse("a-b-c-d-e"), std::nullopt);
}

RC_GTEST_PROP(EndpointIdentityProperty, ParsesWhatItWrites, ()) {
  const auto part =
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab1."))));
  EndpointIdentity identity{*part, *part, *part, *part};
  for (auto* text : {&identity.node, &identity.workload})
    text->insert(text->size() / 2, *rc::gen::elementOf(std::vector<std::string>{"", "-", "--"}));
  // A hyphen at the end of a part or the beginning of the next reads as the wrong boundary, which
  // no valid name has.
  if (identity.node.front() != '-' && identity.workload.front() != '-')
    RC_ASSERT(EndpointIdentity::parse(identity.name()) == identity);
}

TEST(WorkloadEndpoint, KeepsAnIdentityThatItsNameDoesNotSay) {
  WorkloadEndpoint endpoint;
  endpoint.name = "w1";
  EXPECT_EQ(endpoint.workload(), "w1");
  endpoint.setDetails({.identity = EndpointIdentity{"n", "cni", "w", "eth0"}});
  EXPECT_EQ(endpoint.workload(), "w");
  EXPECT_EQ(endpoint.identity().orchestrator, "cni");
}

TEST(WorkloadEndpoint, IsEqualByTheContentOfItsDetails) {
  WorkloadEndpoint a;
  WorkloadEndpoint b;
  a.setDetails({.interfaceName = "cali1"});
  EXPECT_FALSE(a == b);
  b.setDetails({.interfaceName = "cali1"});
  EXPECT_EQ(a, b);
  a.setDetails({});
  EXPECT_EQ(a, WorkloadEndpoint());
}

TEST(EndpointAddresses, HoldNoneOneOrMany) {
  const auto net = [](const char* text) { return *Prefix::parseNetwork(text); };
  EndpointAddresses addresses;
  EXPECT_THAT(addresses, IsEmpty());
  addresses = {net("10.0.0.1")};
  EXPECT_THAT(addresses, ElementsAre(net("10.0.0.1")));
  const EndpointAddresses two{net("10.0.0.1"), net("fd00::1")};
  EXPECT_THAT(two, ElementsAre(net("10.0.0.1"), net("fd00::1")));
  EXPECT_FALSE(addresses == two);
  addresses = two;
  EXPECT_EQ(addresses, two);
  const EndpointAddresses copy = addresses;
  addresses = EndpointAddresses{net("fd00::2")};
  EXPECT_THAT(addresses, ElementsAre(net("fd00::2")));
  EXPECT_EQ(copy, two) << "a copy keeps what it shared";
  addresses = {};
  EXPECT_THAT(addresses, IsEmpty());
}

}  // namespace
}  // namespace margay::api
