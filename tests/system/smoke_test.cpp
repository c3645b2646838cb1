#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/system/cluster.h"

namespace margay::system_tests {
namespace {

class Smoke : public SystemTest {};

TEST_F(Smoke, PodsOfTwoHostsTalkUntilAPolicySaysOtherwise) {
  auto& one = cluster().addHost("one");
  auto& two = cluster().addHost("two");
  cluster().addNamespace("default");
  auto& a = cluster().addPod(
      one, {.name = "a", .addresses = {"10.65.1.2", "fd65:0:0:1::2"}, .labels = {{"app", "a"}}});
  auto& b = cluster().addPod(
      two, {.name = "b", .addresses = {"10.65.2.2", "fd65:0:0:2::2"}, .labels = {{"app", "b"}}});
  one.start();
  two.start();
  cluster().converge();
  const EchoServer server(b.ns(), 80);
  for (const auto family : {Family::V4, Family::V6}) {
    EXPECT_TRUE(tcpReaches(a.from(), b.address(family), 80, kPatience));
    EXPECT_TRUE(udpReaches(a.from(), b.address(family), 80, kPatience));
    EXPECT_TRUE(pingReaches(a.from(), b.address(family), kPatience));
  }
  cluster().apply("deny.yaml",
                  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, "
                  "namespace: default}\n"
                  "spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}\n");
  cluster().converge();
  for (const auto family : {Family::V4, Family::V6}) {
    EXPECT_FALSE(tcpReaches(a.from(), b.address(family), 80, kNoAnswer));
    EXPECT_FALSE(udpReaches(a.from(), b.address(family), 80, kNoAnswer));
    EXPECT_FALSE(pingReaches(a.from(), b.address(family), kNoAnswer));
    EXPECT_TRUE(pingReaches(b.from(), a.address(family), kPatience));
  }
  EXPECT_EQ(one.stop(), 0);
}

}  // namespace
}  // namespace margay::system_tests
