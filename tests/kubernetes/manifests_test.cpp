#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/dataplane/network_namespace.h"
#include "tests/kubernetes/api_server_fixture.h"

/// What users apply is accepted by the real server, and means there what it says.
namespace margay::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kManifests = MARGAY_SOURCE_DIR "/manifests/";

TEST(Manifests, ThoseThatAreGeneratedAreWhatTheirPartsSay) {
  const auto got = shell(MARGAY_SOURCE_DIR "/scripts/manifests --check");
  EXPECT_EQ(got.status, 0) << got.output;
}

TEST(Manifests, TheKustomizationListsEveryPart) {
  std::ifstream file(kManifests + "kubernetes/kustomization.yaml");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const auto& entry : fs::recursive_directory_iterator(kManifests + "kubernetes")) {
    const auto part = fs::relative(entry.path(), kManifests + "kubernetes").string();
    if (!entry.is_regular_file() || part == "kustomization.yaml" || part.starts_with("monitoring/"))
      continue;
    EXPECT_THAT(text, HasSubstr("- " + part + '\n'));
  }
}

class ManifestsOnTheServer : public ApiServerTest {
 protected:
  void SetUp() override {
    ApiServerTest::SetUp();
    if (IsSkipped()) return;
    server().mustKubectl("apply -f " + kManifests + "margay.yaml");
    server().mustKubectl("wait --for=condition=Established crd --all --timeout=30s");
  }
  json get(const std::string& what) {
    return json::parse(server().mustKubectl("get " + what + " -o json"));
  }
};

TEST_F(ManifestsOnTheServer, AreTheSameInOneFileAndByKustomize) {
  for (const std::string& how :
       {"-f " + kManifests + "margay.yaml", "-k " + kManifests + "kubernetes"}) {
    const auto said = server().mustKubectl("apply --dry-run=server " + how);
    EXPECT_THAT(said, Not(HasSubstr("configured"))) << how;
    EXPECT_THAT(said, Not(HasSubstr("created"))) << how;
    EXPECT_THAT(said, HasSubstr("daemonset.apps/margay unchanged")) << how;
  }
}

TEST_F(ManifestsOnTheServer, DefineWhatCalicoWritesAndRefuseWhatItRefuses) {
  const std::string policy = R"({"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
    "metadata": {"name": "default.db", "namespace": "default"},
    "spec": {"order": 10.5, "selector": "role == 'db'", "types": ["Ingress"], "later": {"a": [1]},
      "ingress": [{"action": "Allow", "protocol": 6, "later": "b", "destination":
        {"ports": [5432, "6000:6010", "metrics"], "later": 3}}]}})";
  server().mustKubectl("apply -f -", policy);
  const auto kept = get("networkpolicies.crd.projectcalico.org default.db")["spec"];
  EXPECT_EQ(kept, json::parse(policy)["spec"]);

  const auto wrong = server().kubectl("apply -f -", R"({"apiVersion": "crd.projectcalico.org/v1",
    "kind": "GlobalNetworkPolicy", "metadata": {"name": "wrong"},
    "spec": {"ingress": [{"action": "Permit"}]}})");
  EXPECT_NE(wrong.status, 0);
  EXPECT_THAT(wrong.output, HasSubstr("spec.ingress.action"));

  // As Calico's own definitions leave them in etcd, with what its programs add.
  server().mustKubectl("apply -f -", R"json({"apiVersion": "crd.projectcalico.org/v1",
    "kind": "IPPool", "metadata": {"name": "default-ipv4-ippool", "annotations":
      {"projectcalico.org/metadata": "{\"creationTimestamp\":null}"}},
    "spec": {"allowedUses": ["Workload", "Tunnel"], "assignmentMode": "Automatic", "blockSize": 26,
      "cidr": "10.244.0.0/16", "ipipMode": "Never", "natOutgoing": true, "nodeSelector": "all()",
      "vxlanMode": "CrossSubnet"}})json");
  EXPECT_EQ(get("ippools.crd.projectcalico.org default-ipv4-ippool")["spec"]["assignmentMode"],
            "Automatic");
}

TEST_F(ManifestsOnTheServer, GiveTheAgentTwoCapabilitiesAndTheRightsThatItNeeds) {
  const auto pod = get("daemonset margay -n kube-system")["spec"]["template"]["spec"];
  const auto& security = pod["containers"][0]["securityContext"];
  EXPECT_EQ(security["capabilities"], json::parse(R"({"drop": ["ALL"],
    "add": ["NET_ADMIN", "NET_RAW"]})"));
  EXPECT_FALSE(security.value("privileged", false));
  EXPECT_EQ(pod["priorityClassName"], "system-node-critical");
  EXPECT_EQ(pod["hostNetwork"], true);

  server().mustKubectl("get serviceaccount margay -n kube-system");
  const std::string as = " --as=system:serviceaccount:kube-system:margay -A";
  for (const std::string verb : {"list", "watch"})
    for (const std::string what :
         {"pods", "nodes", "networkpolicies.networking.k8s.io", "tiers.crd.projectcalico.org"})
      EXPECT_EQ(server().kubectl("auth can-i " + verb + ' ' + what + as).status, 0) << verb << what;
  for (const std::string allowed :
       {"patch nodes --subresource=status", "create ippools.crd.projectcalico.org",
        "update clusterinformations.crd.projectcalico.org"})
    EXPECT_EQ(server().kubectl("auth can-i " + allowed + as).status, 0) << allowed;
  for (const std::string forbidden :
       {"list secrets", "list configmaps", "patch nodes", "create pods",
        "update ippools.crd.projectcalico.org", "delete tiers.crd.projectcalico.org"})
    EXPECT_NE(server().kubectl("auth can-i " + forbidden + as).status, 0) << forbidden;
}

}  // namespace
}  // namespace margay::testing
