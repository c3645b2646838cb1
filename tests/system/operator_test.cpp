#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/system/cluster.h"

/// What an operator is told on a node whose agent runs.
namespace margay::system_tests {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Operator : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    host_ = &cluster().addHost("one");
    cluster().addHost("two");
    cluster().addNamespace("default");
    cluster().addPod(*host_, {.name = "a", .addresses = {"10.65.1.2"}});
    host_->start();
    cluster().converge();
  }
  Host& host() { return *host_; }
  std::vector<std::string> warnings() { return host().json("status")["warnings"]; }

 private:
  Host* host_ = nullptr;
};

TEST_F(Operator, IsTheOnlyOneWhoChangesTheKernelWhileTheAgentRuns) {
  const auto rules = host().mustSh("iptables-legacy-save -t raw | grep -v '^[#:]'; ipset list -n");
  const auto who = "process " + std::to_string(host().pid()) + " (margay-node) is at work";
  for (const auto* arguments : {"--once", "--cleanup", ""}) {
    const auto got = host().agent(std::string(arguments) + " 2>&1");
    EXPECT_EQ(got.status, 1) << arguments;
    EXPECT_THAT(got.output, AllOf(StartsWith("margay-node: "), HasSubstr(who)));
    EXPECT_EQ(std::count(got.output.begin(), got.output.end(), '\n'), 1) << got.output;
  }
  EXPECT_EQ(host().agent("--once --dry-run 2>/dev/null").status, 0);
  EXPECT_EQ(host().mustSh("iptables-legacy-save -t raw | grep -v '^[#:]'; ipset list -n"), rules);
  host().kill();
  EXPECT_EQ(host().agent("--cleanup 2>&1").status, 0) << "the lock went with the process";
}

TEST_F(Operator, IsToldWhatIsReferredToAndIsNotThere) {
  EXPECT_THAT(warnings(), IsEmpty());
  cluster().apply(
      "lost.yaml",
      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\n"
      "spec: {tier: lost, selector: \"app == 'none'\", types: [Ingress]}\n---\n"
      "apiVersion: v1\nkind: Pod\nmetadata: {name: ghost, namespace: nowhere}\n"
      "spec: {nodeName: one, containers: [{name: c}]}\n"
      "status: {phase: Running, podIP: 10.65.1.99, podIPs: [{ip: 10.65.1.99}]}\n---\n"
      "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\n"
      "metadata: {name: one-cni-x-eth0, namespace: default}\n"
      "spec: {node: one, orchestrator: cni, containerID: x, endpoint: eth0, "
      "interfaceName: calix, ipNetworks: [10.65.1.98/32], profiles: [gone]}\n");
  cluster().converge();
  EXPECT_TRUE(eventually([&] {
    return warnings().size() >= 4 && warnings()[0].find("lost.yaml") != std::string::npos;
  }));
  const auto said = warnings();
  EXPECT_THAT(said, Contains(StartsWith("GlobalNetworkPolicy p (lost.yaml, document 1): spec.tier: "
                                        "there is no Tier lost")));
  EXPECT_THAT(said,
              Contains(StartsWith("Pod nowhere/ghost (lost.yaml, document 2): metadata.namespace: "
                                  "Namespace nowhere does not exist")));
  const std::string endpoint =
      "WorkloadEndpoint default/one-cni-x-eth0 (lost.yaml, document 3): spec.";
  EXPECT_THAT(said, Contains(StartsWith(endpoint + "profiles: Profile gone does not exist")));
  EXPECT_THAT(said, Contains(StartsWith(endpoint + "interfaceName: there is no interface calix")));
  const auto logged = [&] {
    return host().log().find("there is no Tier lost") != std::string::npos;
  };
  EXPECT_TRUE(eventually(logged));
  cluster().remove("lost.yaml");
  cluster().converge();
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(Operator, AsksAnAgentForItsOwnNodeOnly) {
  const std::string ask = "explain --from 10.65.1.2 --to 192.0.2.1 --node ";
  const auto own = host().ctl(ask + "one 2>&1");
  EXPECT_EQ(own.status, 0);
  EXPECT_THAT(own.output, HasSubstr("as far as node one decides"));
  const auto other = host().ctl(ask + "two 2>&1");
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, AllOf(HasSubstr("agent is of node one"), HasSubstr("--data-dir")));
}

TEST_F(Operator, FindsNoSetThatNothingRefersTo) {
  const auto unused = host().mustSh("ipset list -t | grep -B6 '^References: 0' || true");
  EXPECT_THAT(unused, Not(HasSubstr("Name: mgy")));
}

}  // namespace
}  // namespace margay::system_tests
