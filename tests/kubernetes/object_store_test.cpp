#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cmd/program.h"
#include "tests/kubernetes/api_server_fixture.h"

/// calicoctl's verbs on a real kube-apiserver: Calico's objects in CRDs, and what is made of those
/// of Kubernetes.
namespace margay::testing {
namespace {

using cmd_tests::ProgramResult;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Environment = std::map<std::string, std::string>;

class ObjectsOnTheServer : public ApiServerTest {
 protected:
  void SetUp() override {
    ApiServerTest::SetUp();
    if (IsSkipped()) return;
    server().mustKubectl("apply -f " MARGAY_SOURCE_DIR "/manifests/margay.yaml");
    server().mustKubectl("wait --for=condition=Established crd --all --timeout=30s");
    server().mustKubectl("create namespace shop");
  }
  ProgramResult ctl(const std::vector<std::string>& words, const std::string& input = {}) {
    return cmd_tests::runProgram(
        MARGAYCTL, words, {{"DATASTORE_TYPE", "kubernetes"}, {"KUBECONFIG", server().kubeconfig()}},
        input);
  }
  std::string done(const std::vector<std::string>& words, const std::string& input = {}) {
    const auto result = ctl(words, input);
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    return result.out;
  }
  std::string refused(const std::vector<std::string>& words, const std::string& input = {}) {
    const auto result = ctl(words, input);
    EXPECT_EQ(result.code, 1) << result.out << result.err;
    return result.err;
  }
  json item(const std::string& path) { return json::parse(server().mustCall("GET", path)); }
};

const std::string kCrds = "/apis/crd.projectcalico.org/v1/";
const std::string kPolicy =
    "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\n"
    "metadata: {name: allow, namespace: shop, labels: {team: red}}\n"
    "spec: {selector: app == 'web', ingress: [{action: Allow}]}\n";

TEST_F(ObjectsOnTheServer, PoliciesAreCrdsAsCalicoWritesThem) {
  EXPECT_EQ(done({"create", "-f", "-"}, kPolicy),
            "Successfully created 1 'NetworkPolicy' resource(s)\n");
  EXPECT_THAT(refused({"create", "-f", "-"}, kPolicy), HasSubstr("already exists"));
  const auto stored = item(kCrds + "namespaces/shop/networkpolicies/default.allow");
  EXPECT_EQ(stored["spec"]["types"], json({"Ingress"}));
  EXPECT_EQ(stored["metadata"]["labels"]["team"], "red");
  const auto kept = json::parse(
      stored["metadata"]["annotations"]["projectcalico.org/metadata"].get<std::string>());
  EXPECT_EQ(kept["name"], "allow");
  EXPECT_TRUE(kept["creationTimestamp"].is_string());

  const auto shown = json::parse(done({"get", "np", "allow", "-n", "shop", "-o", "json"}));
  EXPECT_EQ(shown["apiVersion"], "projectcalico.org/v3");
  EXPECT_EQ(shown["metadata"]["name"], "allow");
  EXPECT_EQ(shown["metadata"]["labels"]["projectcalico.org/tier"], "default");
  EXPECT_FALSE(shown["metadata"].contains("annotations"));
  EXPECT_NE(shown["metadata"]["uid"], stored["metadata"]["uid"]);
  EXPECT_THAT(done({"get", "np", "-a"}), AllOf(HasSubstr("shop"), HasSubstr("allow")));

  auto other = kPolicy;
  static_cast<void>(done({"apply", "-f", "-"}, other.replace(other.find("web"), 3, "api")));
  EXPECT_THAT(refused({"replace", "-f", "-"}, shown.dump()), HasSubstr("update conflict"));
  const auto newest = done({"get", "np", "allow", "-n", "shop", "-o", "yaml"});
  EXPECT_THAT(done({"replace", "-f", "-"}, newest), HasSubstr("replaced 1"));
  EXPECT_THAT(done({"delete", "np", "allow", "-n", "shop"}), HasSubstr("deleted 1"));
  EXPECT_THAT(refused({"delete", "np", "allow", "-n", "shop"}), HasSubstr("does not exist"));
}

TEST_F(ObjectsOnTheServer, WhatKubectlAppliesIsFoundToo) {
  server().mustKubectl("apply -f -",
                       "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\n"
                       "metadata: {name: plain}\nspec: {selector: all()}\n");
  EXPECT_EQ(done({"get", "gnp", "-o", "name"}), "GlobalNetworkPolicy/plain\n");
  static_cast<void>(done({"apply", "-f", "-"},
                         "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\n"
                         "metadata: {name: plain}\nspec: {selector: has(app)}\n"));
  EXPECT_EQ(item(kCrds + "globalnetworkpolicies/plain")["spec"]["selector"], "has(app)");
}

TEST_F(ObjectsOnTheServer, EndpointsAndProfilesComeFromKubernetesAndAreReadOnly) {
  server().mustKubectl("create serviceaccount default -n shop");
  server().mustCall(
      "POST", "/api/v1/namespaces/shop/pods",
      R"({"metadata":{"name":"web-1","labels":{"app":"web"}},"spec":{"nodeName":"n1",)"
      R"("containers":[{"name":"c","image":"i"}]}})");
  server().mustCall(
      "PATCH", "/api/v1/namespaces/shop/pods/web-1/status",
      R"({"status":{"phase":"Running","podIP":"10.9.0.7","podIPs":[{"ip":"10.9.0.7"}]}})",
      "application/merge-patch+json");
  EXPECT_THAT(done({"get", "wep", "-n", "shop"}),
              AllOf(HasSubstr("web-1"), HasSubstr("10.9.0.7/32")));
  EXPECT_THAT(done({"get", "profiles"}),
              AllOf(HasSubstr("kns.shop"), HasSubstr("ksa.shop.default")));
  EXPECT_THAT(refused({"delete", "profile", "kns.shop"}), HasSubstr("kubectl"));
  EXPECT_THAT(refused({"apply", "-f", "-"},
                      "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: mine}\n"
                      "spec: {ingress: [{action: Allow}]}\n"),
              HasSubstr("Namespaces and ServiceAccounts"));
}

TEST_F(ObjectsOnTheServer, NodesHaveCalicosFieldsAsAnnotations) {
  server().mustCall("POST", "/api/v1/nodes", R"({"metadata":{"name":"n1","labels":{"rack":"1"}}})");
  auto node = json::parse(done({"get", "node", "n1", "-o", "json"}));
  EXPECT_EQ(node["metadata"]["labels"]["rack"], "1");
  node["spec"]["bgp"] = {{"ipv4Address", "192.0.2.1/24"}, {"asNumber", "1.10"}};
  node["metadata"]["labels"]["mine"] = "yes";
  EXPECT_THAT(done({"replace", "-f", "-"}, node.dump()), HasSubstr("replaced 1"));
  const auto annotations = item("/api/v1/nodes/n1")["metadata"]["annotations"];
  EXPECT_EQ(annotations["projectcalico.org/IPv4Address"], "192.0.2.1/24");
  EXPECT_EQ(annotations["projectcalico.org/ASNumber"], "65546");
  EXPECT_EQ(annotations["projectcalico.org/labels"], R"({"mine":"yes"})");
  EXPECT_EQ(item("/api/v1/nodes/n1")["metadata"]["labels"].value("mine", ""), "");
  node = json::parse(done({"get", "node", "n1", "-o", "json"}));
  EXPECT_EQ(node["spec"]["bgp"]["asNumber"], 65546);
  EXPECT_EQ(node["metadata"]["labels"]["mine"], "yes");
  node["spec"].erase("bgp");
  static_cast<void>(done({"apply", "-f", "-"}, node.dump()));
  EXPECT_FALSE(item("/api/v1/nodes/n1")["metadata"]["annotations"].contains(
      "projectcalico.org/IPv4Address"));
  EXPECT_THAT(refused({"delete", "node", "n1"}), HasSubstr("kubectl"));
}

TEST_F(ObjectsOnTheServer, TheContextAndTheConfigurationFileSayWhoAsks) {
  const auto both = server().directory() + "/both.kubeconfig";
  const auto user = [&](const std::string& name) {
    return "{name: " + name + ", user: {token: " + ApiServer::token(name) + "}}";
  };
  const auto context = [](const std::string& name) {
    return "{name: of-" + name + ", context: {cluster: c, user: " + name + "}}";
  };
  const std::string text =
      "apiVersion: v1\nkind: Config\ncurrent-context: of-other\nclusters: [{name: c, "
      "cluster: {server: '" +
      server().url() + "', certificate-authority: " + server().caFile() + "}}]\nusers: [" +
      user("admin") + ", " + user("other") + "]\ncontexts: [" + context("admin") + ", " +
      context("other") + "]\n";
  std::ofstream(both) << text;
  const auto get = [&](std::vector<std::string> more, Environment environment) {
    more.insert(more.begin(), {"get", "tiers"});
    environment.emplace("DATASTORE_TYPE", "kubernetes");
    return cmd_tests::runProgram(MARGAYCTL, more, environment);
  };
  EXPECT_THAT(get({}, {{"KUBECONFIG", both}}).err, HasSubstr("403"));
  const auto admin = get({"--context", "of-admin"}, {{"KUBECONFIG", both}});
  EXPECT_EQ(admin.code, 0) << admin.err;
  const auto inlined = get({"--context", "of-admin"}, {{"KUBECONFIG_INLINE", text}});
  EXPECT_EQ(inlined.code, 0) << inlined.err;
  const auto prefixed = get({"--context", "of-admin"}, {{"CALICO_KUBECONFIG", both}});
  EXPECT_EQ(prefixed.code, 0) << prefixed.err;
  EXPECT_THAT(get({"--context", "none"}, {{"KUBECONFIG", both}}).err,
              AllOf(HasSubstr("--context"), HasSubstr("'none'")));

  const auto file = server().directory() + "/calicoctl.cfg";
  std::ofstream(file)
      << "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n"
         "  datastoreType: kubernetes\n  k8sAPIEndpoint: "
      << server().url() << "\n  k8sCAFile: " << server().caFile()
      << "\n  k8sAPIToken: " << ApiServer::token("admin") << "\n";
  const auto configured = get({"-c", file}, {{"KUBECONFIG", "/nonexistent"}});
  EXPECT_EQ(configured.code, 0) << configured.err;
}

TEST_F(ObjectsOnTheServer, WhoMayNotIsTold) {
  const auto got = cmd_tests::runProgram(
      MARGAYCTL, {"get", "tiers"},
      {{"DATASTORE_TYPE", "kubernetes"}, {"KUBECONFIG", server().kubeconfig("other")}});
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, AllOf(HasSubstr("403"), HasSubstr("tiers")));
}

}  // namespace
}  // namespace margay::testing
