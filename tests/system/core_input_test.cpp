#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/system/one_host.h"

/// Bad input is named with its file, document and field, and nothing else is lost.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CoreInput : public OneHostTest {
 protected:
  void SetUp() override {
    OneHostTest::SetUp();
    if (IsSkipped()) return;
    cluster().apply("pool.yaml",
                    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pool}\nspec: "
                    "{cidr: 10.65.0.0/16}\n");
  }
  Pod& pod(const std::string& name, const std::string& address) {
    return cluster().addPod(host(), {.name = name, .addresses = {address}});
  }

  /// The entry of `status` about an object of that name, or of that file.
  nlohmann::json invalid(const std::string& nameOrFile) {
    const auto status = host().json("status");
    for (const auto& object : status["invalidObjects"]) {
      if (object["name"] == nameOrFile ||
          object["file"].get<std::string>().find(nameOrFile) != std::string::npos)
        return object;
    }
    return {};
  }

  static constexpr auto kInvalidEndpoints = "margay_invalid_objects{kind=\"WorkloadEndpoint\"}";
  /// A pod that is in force, but not as it is meant: in status with file, document and field, in
  /// the metric, and in the log when it lasts.
  bool namedEverywhere(const std::string& object, const std::string& field,
                       const std::string& reason) {
    const auto has = [](const std::string& text, const std::string& part) {
      return text.find(part) != std::string::npos;
    };
    return eventually([&] {
      const auto said = host().json("status")["warnings"].dump();
      return has(said, object) && has(said, ".yaml, document 1): " + field + ": ") &&
             has(said, reason) && host().metric(kInvalidEndpoints) == 1 &&
             has(host().log(), "field=" + field) && has(host().log(), reason);
    });
  }
};

TEST_F(CoreInput, EachBadObjectIsNamedAndTheRestConverges) {
  auto& a = pod("a", "10.65.1.2");
  auto& b = pod("b", "10.65.1.3");
  cluster().apply("broken.yaml", "apiVersion: v1\nkind: [unclosed\n");
  cluster().apply(
      "misspelt.yaml",
      "apiVersion: projectcalico.org/v3\nkind: NetworkPolizy\nmetadata: {name: misspelt}\n");
  cluster().apply("selector.yaml",
                  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\n---\n"
                  "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: "
                  "bad-selector, namespace: default}\nspec: {selector: \"app ==\"}\n");
  cluster().apply(
      "ports.yaml",
      "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: bad-ports}\n"
      "spec: {ingress: [{action: Allow, destination: {ports: [80]}}]}\n");
  cluster().apply("twice-a.yaml",
                  "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: "
                  "twice}\nspec: {nets: [192.0.2.0/24]}\n");
  cluster().apply("twice-b.yaml",
                  "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: "
                  "twice}\nspec: {nets: [198.51.100.0/24]}\n");
  host().start();
  cluster().converge();
  EXPECT_TRUE(pingReaches(a.from(), b.address(), kPatience)) << host().log();

  EXPECT_THAT(invalid("broken.yaml")["reason"].dump(), Not(HasSubstr("null")));
  EXPECT_THAT(invalid("misspelt")["reason"].dump(), HasSubstr("NetworkPolizy"));
  const auto selector = invalid("bad-selector");
  EXPECT_EQ(selector["document"], 2);
  EXPECT_EQ(selector["field"], "spec.selector");
  EXPECT_THAT(invalid("bad-ports")["field"].dump(), HasSubstr("spec.ingress[0]"));
  EXPECT_THAT(invalid("twice-b.yaml")["reason"].dump(), HasSubstr("twice-a.yaml"));
  EXPECT_EQ(host().metric("margay_invalid_objects{kind=\"NetworkPolicy\"}"), 1);
  EXPECT_EQ(host().metric("margay_invalid_objects{kind=\"GlobalNetworkPolicy\"}"), 1);
  for (const auto* name : {"broken.yaml", "NetworkPolizy", "bad-selector", "bad-ports", "twice"})
    EXPECT_THAT(host().log(), HasSubstr(name));

  // Mended, one after the other.
  for (const auto* file :
       {"broken.yaml", "misspelt.yaml", "selector.yaml", "ports.yaml", "twice-b.yaml"})
    cluster().remove(file);
  cluster().converge();
  EXPECT_TRUE(host().json("status")["invalidObjects"].empty()) << host().json("status").dump(2);
  EXPECT_EQ(host().metric("margay_invalid_objects{kind=\"NetworkPolicy\"}"), 0);
}

TEST_F(CoreInput, APodOutsideEveryPoolIsNamedAndWorks) {
  auto& a = pod("a", "10.65.1.2");
  auto& outside = pod("outside", "10.99.0.1");
  host().start();
  cluster().converge();
  EXPECT_TRUE(pingReaches(a.from(), outside.address(), kPatience));
  EXPECT_TRUE(namedEverywhere("Pod default/outside (", "status.podIPs", "10.99.0.1"));
}

TEST_F(CoreInput, AMissingProfileLetsNobodyIn) {
  auto& a = pod("a", "10.65.1.2");
  auto& lonely =
      cluster().addPod(host(), {.name = "lonely", .ns = "nowhere", .addresses = {"10.65.1.9"}});
  host().start();
  cluster().converge();
  EXPECT_FALSE(pingReaches(a.from(), lonely.address(), kNoAnswer));
  EXPECT_THAT(host().ctl("explain --from default/a --to nowhere/lonely").output,
              HasSubstr("no profile matched"));
  EXPECT_TRUE(namedEverywhere("Pod nowhere/lonely (", "metadata.namespace", "Namespace nowhere"));
  cluster().addNamespace("nowhere");
  cluster().converge();
  EXPECT_TRUE(pingReaches(a.from(), lonely.address(), kPatience));
  EXPECT_TRUE(eventually([&] { return host().metric(kInvalidEndpoints) == 0; }));
  EXPECT_TRUE(host().json("status")["warnings"].empty());
}

TEST_F(CoreInput, NamesThatWouldNotFitAChainWork) {
  auto& a = pod("a", "10.65.1.2");
  auto& b = pod("b", "10.65.1.3");
  const std::string name = std::string(100, 'x') + ".with-a-name-that-no-chain-holds";
  cluster().apply(
      "long.yaml",
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name +
          ", namespace: default}\nspec: {podSelector: {}, ingress: [{ports: [{protocol: TCP, port: "
          "80}]}]}\n");
  host().start();
  cluster().converge();
  const EchoServer server(b.ns(), 80);
  EXPECT_TRUE(tcpReaches(a.from(), b.address(), 80, kPatience));
  EXPECT_FALSE(udpReaches(a.from(), b.address(), 80, kNoAnswer));
}

TEST_F(CoreInput, AHalfWrittenFileKeepsWhatItLastGave) {
  auto& a = pod("a", "10.65.1.2");
  auto& b = pod("b", "10.65.1.3");
  const std::string deny =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: "
      "default}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n";
  cluster().apply("deny.yaml", deny);
  host().start();
  cluster().converge();
  ASSERT_FALSE(pingReaches(a.from(), b.address(), kNoAnswer));
  cluster().apply("deny.yaml", deny.substr(0, deny.size() - 20) + "[");
  cluster().converge();
  EXPECT_FALSE(pingReaches(a.from(), b.address(), kNoAnswer)) << "the policy is still in force";
  EXPECT_FALSE(invalid("deny.yaml").empty());
}

TEST_F(CoreInput, ADirectoryThatGoesAwayFreezesTheState) {
  auto& a = pod("a", "10.65.1.2");
  auto& b = pod("b", "10.65.1.3");
  host().start();
  cluster().converge();
  const auto connected = [&] {
    return host().metric("margay_datastore_connected{source=\"file\"}");
  };
  EXPECT_EQ(connected(), 1);
  std::filesystem::rename(cluster().dataDir(), cluster().directory() / "away");
  EXPECT_TRUE(eventually([&] { return connected() == 0; }));
  EXPECT_TRUE(pingReaches(a.from(), b.address(), kPatience));
  EXPECT_EQ(
      host().sh("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9099/readiness").output,
      "200");
  std::filesystem::rename(cluster().directory() / "away", cluster().dataDir());
  EXPECT_TRUE(eventually([&] { return connected() == 1; }));
  cluster().converge();
  EXPECT_TRUE(pingReaches(a.from(), b.address(), kPatience));
}

TEST_F(CoreInput, WhatTheEnvironmentGetsWrongIsOneLineAndExit1) {
  for (const auto& [environment, words] : std::vector<std::pair<Environment, std::string>>{
           {{{"FELIX_IPTABLESMARKMASK", "0x10000"}}, "FELIX_IPTABLESMARKMASK"},
           {{{"FELIX_IPTABLESMARKMASK", "0xffffffff"}}, "kube-proxy"},
           {{{"DATASTORE_TYPE", "kubernetes"}}, "set KUBECONFIG"},
           {{{"DATASTORE_TYPE", "paper"}}, "must be file"}}) {
    const auto got = host().agent("--once", environment);
    EXPECT_EQ(got.status, 1) << got.output;
    EXPECT_THAT(got.output, HasSubstr(words));
    EXPECT_EQ(std::count(got.output.begin(), got.output.end(), '\n'), 1) << got.output;
  }
  EXPECT_EQ(host().agent("--nonsense").status, 2);
  const auto noRight = host().sh(
      "setpriv --bounding-set -net_admin --inh-caps -net_admin env NODENAME=one "
      "DATASTORE_TYPE=file MARGAY_DATA_DIR=" +
      cluster().dataDir().string() + " MARGAY_RUN_DIR=" + host().runDir().string() +
      " " MARGAY_NODE " --once 2>&1 >/dev/null");
  EXPECT_EQ(noRight.status, 1) << noRight.output;
  EXPECT_THAT(noRight.output, HasSubstr("CAP_NET_ADMIN"));
}

TEST_F(CoreInput, NonsenseOnThePortsOfMetricsAndHealthIsAnsweredAndHarmsNobody) {
  host().start();
  cluster().converge();
  const auto curl = [&](const std::string& arguments) {
    return host().sh("curl -s -o /dev/null -m 5 -w '%{http_code}' " + arguments).output;
  };
  for (const std::string port : {"9091", "9099"}) {
    const auto at = "http://127.0.0.1:" + port;
    EXPECT_EQ(curl(at + "/"), "404");
    EXPECT_EQ(curl(at + "/cgi-bin/%2e%2e/x?" + std::string(2000, 'y')), "404");
    EXPECT_EQ(curl("-X DELETE " + at + "/metrics"), port == "9091" ? "405" : "404");
    EXPECT_EQ(host().sh("printf 'no http\\r\\n\\r\\n' | nc -q 1 127.0.0.1 " + port).status, 0);
  }
  EXPECT_EQ(curl("http://127.0.0.1:9091/metrics"), "200");
  EXPECT_EQ(curl("http://127.0.0.1:9099/liveness"), "200");
}

TEST_F(CoreInput, BirdMeansDirectRoutesAndAWarning) {
  cluster().addHost("two");
  host().start({{"CALICO_NETWORKING_BACKEND", "bird"}});
  cluster().converge();
  EXPECT_THAT(host().json("status")["warnings"].dump(), HasSubstr("there is no BGP yet"));
  EXPECT_THAT(host().mustSh("ip route"), HasSubstr("10.65.2.0/24 via 172.30.0.2"));
}

TEST_F(CoreInput, KubeProxyInIpvsModeKeepsTheNodeFromBeingReady) {
  static_cast<void>(host().mustSh("ip link add kube-ipvs0 type bridge"));
  host().start();
  EXPECT_TRUE(
      eventually([&] { return host().ctl("status").output.find("IPVS") != std::string::npos; }));
  EXPECT_EQ(
      host().sh("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9099/readiness").output,
      "503");
}

TEST_F(CoreInput, FelixConfigurationAppliesWithoutARestart) {
  auto& a = pod("a", "10.65.1.2");
  host().start();
  cluster().converge();
  EXPECT_FALSE(pingReaches(a.from(), Cluster::hostAddress(1), kNoAnswer));
  cluster().apply("felix.yaml",
                  "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: "
                  "default}\nspec: {defaultEndpointToHostAction: Accept}\n");
  cluster().converge();
  EXPECT_TRUE(pingReaches(a.from(), Cluster::hostAddress(1), kPatience));
  EXPECT_THAT(host().ctl("config").output, HasSubstr("FelixConfiguration default"));
}

}  // namespace
}  // namespace margay::system_tests
