#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/codec/kubernetes_decode.h"

namespace margay::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

json pod(const std::string& more = "{}") {
  json made = json::parse(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"shop","labels":{"app":"web"}},
    "spec":{"nodeName":"node-a","serviceAccountName":"clerk","containers":[{"ports":[{"name":"http","containerPort":80},
      {"containerPort":81},{"name":"dns","containerPort":53,"protocol":"UDP"}]}],
      "initContainers":[{"ports":[{"name":"init","containerPort":9,"protocol":"SCTP"}]}]},
    "status":{"phase":"Running","podIP":"10.0.0.9","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}})");
  made.merge_patch(json::parse(more));
  return made;
}

Shared<WorkloadEndpoint> endpointOf(const json& document) {
  KubernetesDecoder decoder;
  auto got = decoder.decode(document);
  EXPECT_THAT(got.errors, IsEmpty());
  return got.value ? std::get<Shared<WorkloadEndpoint>>(*got.value) : nullptr;
}
std::vector<std::string> addressesOf(const json& document) {
  std::vector<std::string> out;
  const auto endpoint = endpointOf(document);
  if (endpoint) {
    for (const Prefix& address : endpoint->addresses) out.push_back(address.str());
  }
  return out;
}
std::vector<std::string> fieldsOf(const json& document) {
  KubernetesDecoder decoder;
  std::vector<std::string> out;
  for (const auto& error : decoder.decode(document).errors) out.push_back(error.field);
  return out;
}

TEST(KubernetesPod, BecomesAWorkloadEndpoint) {
  const auto got = endpointOf(pod());
  ASSERT_TRUE(got);
  WorkloadEndpoint expected;
  expected.ns = "shop";
  expected.name = "node--a-k8s-web--1-eth0";
  expected.node = "node-a";
  expected.addresses = {*Prefix::parseNetwork("10.0.0.1"), *Prefix::parseNetwork("fd00::1")};
  expected.labels = Labels(LabelMap{{"app", "web"},
                                    {"projectcalico.org/namespace", "shop"},
                                    {"projectcalico.org/orchestrator", "k8s"},
                                    {"projectcalico.org/serviceaccount", "clerk"}});
  expected.profiles = share(std::vector<std::string>{"kns.shop", "ksa.shop.clerk"});
  expected.ports =
      share(std::vector<EndpointPort>{{"http", 6, 80}, {"dns", 17, 53}, {"init", 132, 9}});
  EXPECT_EQ(*got, expected);
}

TEST(KubernetesPod, TakesAddressesFromTheFirstPlaceThatHasThem) {
  const json none = pod(R"({"status":{"podIPs":null,"podIP":null}})");
  const auto annotated = [&](const json& annotations) {
    json made = none;
    made["metadata"]["annotations"] = annotations;
    return addressesOf(made);
  };
  EXPECT_THAT(addressesOf(pod(R"({"status":{"podIPs":null}})")), ElementsAre("10.0.0.9/32"));
  EXPECT_THAT(annotated({{"cni.projectcalico.org/podIPs", "10.0.0.2/32,fd00::2/128"},
                         {"cni.projectcalico.org/podIP", "10.0.0.3"}}),
              ElementsAre("10.0.0.2/32", "fd00::2/128"));
  EXPECT_THAT(annotated({{"cni.projectcalico.org/podIP", "10.0.0.3/32"}}),
              ElementsAre("10.0.0.3/32"));
  EXPECT_THAT(annotated({{"vpc.amazonaws.com/pod-ips", "10.0.0.4"}}), ElementsAre("10.0.0.4/32"));
  EXPECT_FALSE(endpointOf(none));
}

TEST(KubernetesPod, IsNoEndpointOnTheHostsNetworkUnscheduledOrFinished) {
  EXPECT_FALSE(endpointOf(pod(R"({"spec":{"hostNetwork":true}})")));
  EXPECT_FALSE(endpointOf(pod(R"({"spec":{"nodeName":null}})")));
  EXPECT_FALSE(endpointOf(pod(R"({"status":{"phase":"Succeeded"}})")));
  EXPECT_FALSE(endpointOf(pod(R"({"status":{"phase":"Failed"}})")));
  EXPECT_FALSE(endpointOf(pod(
      R"({"metadata":{"deletionTimestamp":"x","annotations":{"cni.projectcalico.org/podIP":""}}})")));
  EXPECT_TRUE(endpointOf(pod(R"({"metadata":{"deletionTimestamp":"x"}})")));
  EXPECT_TRUE(
      endpointOf(pod(R"({"metadata":{"annotations":{"cni.projectcalico.org/podIP":""}}})")));
}

TEST(KubernetesPod, CannotTakeLabelsOfNamespacesOrServiceAccounts) {
  const auto got = endpointOf(pod(
      R"({"metadata":{"labels":{"pcns.a":"x","pcsa.b":"y","projectcalico.org/namespace":"other"}},"spec":{"serviceAccountName":null}})"));
  EXPECT_EQ(got->labels, Labels(LabelMap{{"app", "web"},
                                         {"projectcalico.org/namespace", "shop"},
                                         {"projectcalico.org/orchestrator", "k8s"}}));
  EXPECT_THAT(*got->profiles, ElementsAre("kns.shop"));
}

TEST(KubernetesPod, ReadsAllowedSourcePrefixes) {
  const auto got = endpointOf(pod(
      R"({"metadata":{"annotations":{"cni.projectcalico.org/allowedSourcePrefixes":"[\"8.8.8.9/24\"]"}}})"));
  EXPECT_THAT(got->details().allowedSources, ElementsAre(*Prefix::parseNetwork("8.8.8.0/24")));
  EXPECT_THAT(
      fieldsOf(pod(
          R"({"metadata":{"annotations":{"cni.projectcalico.org/allowedSourcePrefixes":"8.8.8.0/24"}}})")),
      ElementsAre("metadata.annotations.cni.projectcalico.org/allowedSourcePrefixes"));
}

TEST(KubernetesPod, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(fieldsOf(pod(R"({"status":{"podIPs":[{"ip":"10.0.0.300"}]}})")),
              ElementsAre("status.podIPs[0].ip"));
  EXPECT_THAT(fieldsOf(pod(R"({"metadata":{"labels":{"app":true}}})")),
              ElementsAre("metadata.labels.app"));
  EXPECT_THAT(fieldsOf(pod(R"({"metadata":{"name":"Web"}})")), ElementsAre("metadata.name"));
  EXPECT_THAT(fieldsOf(pod(R"({"metadata":{"name":null}})")), ElementsAre("metadata.name"));
  EXPECT_THAT(fieldsOf(pod(R"({"spec":{"nodeName":7}})")), ElementsAre("spec.nodeName"));
}

TEST(KubernetesPod, SharesWhatPodsHaveInCommon) {
  KubernetesDecoder decoder;
  const auto a = std::get<Shared<WorkloadEndpoint>>(*decoder.decode(pod()).value);
  const auto b = std::get<Shared<WorkloadEndpoint>>(
      *decoder.decode(pod(R"({"metadata":{"name":"web-2"}})")).value);
  EXPECT_EQ(&a->labels.pairs(), &b->labels.pairs());
  EXPECT_EQ(a->profiles, b->profiles);
  EXPECT_EQ(a->ports, b->ports);
  EXPECT_EQ(a->node.view().data(), b->node.view().data());
}

TEST(KubernetesNamespace, BecomesAProfileThatAllowsAll) {
  KubernetesDecoder decoder;
  const auto got = decoder.decode(json::parse(
      R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":{"team":"x"}}})"));
  ASSERT_TRUE(got.value);
  EXPECT_EQ(got.key, (ObjectKey{Kind::Profile, {}, "kns.shop"}));
  const auto& profile = *std::get<Shared<Profile>>(*got.value);
  EXPECT_EQ(profile.labelsToApply,
            Labels(LabelMap{{"pcns.team", "x"}, {"pcns.projectcalico.org/name", "shop"}}));
  EXPECT_THAT(profile.ingress, ElementsAre(PolicyRule{}));
  EXPECT_THAT(profile.egress, ElementsAre(PolicyRule{}));
}

TEST(KubernetesServiceAccount, BecomesAProfileWithoutRules) {
  KubernetesDecoder decoder;
  const auto got = decoder.decode(json::parse(
      R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"clerk","namespace":"shop","labels":{"r":"1"}}})"));
  const auto& profile = *std::get<Shared<Profile>>(*got.value);
  EXPECT_EQ(profile, (Profile{.name = "ksa.shop.clerk",
                              .labelsToApply = Labels(LabelMap{
                                  {"pcsa.r", "1"}, {"pcsa.projectcalico.org/name", "clerk"}})}));
}

TEST(KubernetesNode, ReadsAddressesPodCidrsAndAnnotations) {
  KubernetesDecoder decoder;
  const auto got = decoder.decode(
      json::parse(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"a","labels":{"z":"1"},
    "annotations":{"projectcalico.org/IPv4Address":"192.168.1.7/24"}},"spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24","fd00::/64"]},
    "status":{"addresses":[{"type":"Hostname","address":"a"},{"type":"InternalIP","address":"192.168.1.2"}]}})"));
  ASSERT_TRUE(got.value);
  const Node expected{
      .name = "a",
      .labels = Labels(LabelMap{{"z", "1"}}),
      .internalAddresses = {*Address::parse("192.168.1.2")},
      .bgpAddress4 = Prefix::parseAddress("192.168.1.7/24"),
      .bgpAddress6 = std::nullopt,
      .podCidrs = {*Prefix::parseNetwork("10.1.0.0/24"), *Prefix::parseNetwork("fd00::/64")}};
  EXPECT_EQ(*std::get<Shared<Node>>(*got.value), expected);
}

TEST(KubernetesService, ReadsAddressesAndPorts) {
  KubernetesDecoder decoder;
  const auto service = decoder.decode(
      json::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n"},
    "spec":{"clusterIP":"10.96.0.1","ports":[{"port":80},{"name":"d","port":53,"protocol":"UDP"}]}})"));
  EXPECT_EQ(*std::get<Shared<Service>>(*service.value),
            (Service{"n", "s", {*Address::parse("10.96.0.1")}, {{"", 6, 80}, {"d", 17, 53}}}));
  for (const char* version : {"discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"}) {
    json slice = json::parse(
        R"({"kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"s-x","namespace":"n",
      "labels":{"kubernetes.io/service-name":"s"}},"endpoints":[{"addresses":["10.0.0.2"]},{"addresses":["10.0.0.1"],"conditions":{"ready":false}}],
      "ports":[{"name":"","port":8080}]})");
    slice["apiVersion"] = version;
    const auto got = decoder.decode(slice);
    ASSERT_TRUE(got.value);
    EXPECT_EQ(*std::get<Shared<EndpointSlice>>(*got.value),
              (EndpointSlice{"n",
                             "s-x",
                             "s",
                             {*Address::parse("10.0.0.1"), *Address::parse("10.0.0.2")},
                             {{"", 6, 8080}}}));
  }
}

TEST(KubernetesKinds, OthersAreFineMisspeltOnesAreNot) {
  KubernetesDecoder decoder;
  const auto errors = [&](const char* version, const char* kind) {
    return decoder.decode({{"apiVersion", version}, {"kind", kind}, {"metadata", {{"name", "x"}}}})
        .errors.size();
  };
  for (const auto& [version, kind] :
       std::vector<std::pair<const char*, const char*>>{{"v1", "ConfigMap"},
                                                        {"apps/v1", "Deployment"},
                                                        {"rbac.authorization.k8s.io/v1", "Role"},
                                                        {"networking.k8s.io/v1", "Ingress"}}) {
    EXPECT_EQ(errors(version, kind), 0U) << kind;
  }
  for (const auto& [version, kind] : std::vector<std::pair<const char*, const char*>>{
           {"v1", "Pdo"},
           {"networking.k8s.io/v1", "NetworkPolcy"},
           {"networking.k8s.io/v2", "NetworkPolicy"},
           {"policy.networking.k8s.io/v1alpha1", "ClusterNetworkPolicy"},
           {"example.org/v1", "Thing"},
           {"", "Pod"},
           {"v1", ""}}) {
    EXPECT_EQ(errors(version, kind), 1U) << version << " " << kind;
  }
}

}  // namespace
}  // namespace margay::api
