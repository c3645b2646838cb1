#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/codec/kubernetes_decode.h"
#include "tests/kubernetes/api_server_fixture.h"

/// The policies of the whole cluster as a real server takes and gives them.
namespace margay::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PolicyApi : public ApiServerTest {
 protected:
  void SetUp() override {
    ApiServerTest::SetUp();
    if (IsSkipped()) return;
    const std::string manifests = MARGAY_SOURCE_DIR "/manifests";
    server().mustKubectl("apply -k " + manifests + "/policy-api");
    server().mustKubectl("wait --for=condition=established --timeout=30s crd --all");
    server().mustKubectl("apply -f " + manifests + "/examples/cluster-policies.yaml");
  }
  /// The objects of a kind, decoded.
  std::vector<api::Decoded> decoded(const std::string& version, const std::string& plural) {
    const auto list = json::parse(
        server().mustCall("GET", "/apis/policy.networking.k8s.io/" + version + "/" + plural));
    std::vector<api::Decoded> out;
    api::KubernetesDecoder decoder;
    for (const auto& item : list["items"]) out.push_back(decoder.decode(item));
    return out;
  }
  static std::string older(const std::string& kind, const std::string& spec) {
    return "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: " + kind +
           "\nmetadata: {name: default}\nspec: " + spec + "\n";
  }
};

TEST_F(PolicyApi, TakesOurExamplesAndGivesThemBackWhole) {
  const auto objects = decoded("v1alpha2", "clusternetworkpolicies");
  ASSERT_EQ(objects.size(), 2U);
  for (const auto& object : objects) {
    EXPECT_THAT(object.errors, IsEmpty()) << object.name;
    ASSERT_TRUE(object.value) << object.name;
    const auto& policy = *std::get<Shared<api::Policy>>(*object.value);
    EXPECT_EQ(policy.tier, object.name == "guests" ? "kube-admin" : "kube-baseline");
    EXPECT_FALSE(policy.ingress.empty());
    EXPECT_EQ(policy.namespaceSelector, "tenant == 'guest'");
  }
}

TEST_F(PolicyApi, TakesTheOlderKindsToo) {
  const std::string rules =
      "ingress: [{action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: "
      "{a: b}}}}], ports: [{portNumber: {protocol: TCP, port: 80}}, {namedPort: http}]}]}";
  server().mustKubectl("apply -f -", older("AdminNetworkPolicy",
                                           "{priority: 3, subject: {namespaces: {}}, " + rules));
  server().mustKubectl("apply -f -",
                       older("BaselineAdminNetworkPolicy", "{subject: {namespaces: {}}, " + rules));
  for (const auto* plural : {"adminnetworkpolicies", "baselineadminnetworkpolicies"}) {
    const auto objects = decoded("v1alpha1", plural);
    ASSERT_EQ(objects.size(), 1U) << plural;
    EXPECT_THAT(objects[0].errors, IsEmpty()) << plural;
    ASSERT_TRUE(objects[0].value) << plural;
    EXPECT_EQ(std::get<Shared<api::Policy>>(*objects[0].value)->ingress.size(), 3U);
  }
}

TEST_F(PolicyApi, RefusesWhatTheSchemaDoesNotAllow) {
  const std::string head =
      "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: "
      "bad}\nspec: ";
  for (const auto& [spec, says] : std::vector<std::pair<std::string, std::string>>{
           {"{tier: Default, priority: 1, subject: {namespaces: {}}}", "spec.tier"},
           {"{tier: Admin, priority: 1001, subject: {namespaces: {}}}", "spec.priority"},
           {"{tier: Admin, priority: 1, subject: {}}", "spec.subject"},
           {"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: "
            "[{namespaces: {}}]}]}",
            "action"}}) {
    const auto got = server().kubectl("apply -f -", head + spec + "\n");
    EXPECT_NE(got.status, 0) << spec;
    EXPECT_THAT(got.output, HasSubstr(says)) << spec;
  }
}

}  // namespace
}  // namespace margay::testing
