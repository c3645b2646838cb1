#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/etcd/stored_object.h"

/// Objects as Calico 3.x itself writes them to etcd.
namespace margay::api {
namespace {

using ::testing::IsEmpty;

Decoded decoded(const std::string& shortKey, const std::string& value) {
  const std::string key = std::string(kResourcePrefix) + shortKey;
  const auto parsed = parseStoredKey(key);
  EXPECT_TRUE(parsed) << key;
  if (!parsed) return {};
  auto out = decodeStored(*parsed, value);
  for (const auto& error : out.errors) ADD_FAILURE() << error.field << ": " << error.reason;
  return out;
}

template <class T>
Shared<T> valueOf(const Decoded& object) {
  if (!object.value) return nullptr;
  const auto* found = std::get_if<Shared<T>>(&*object.value);
  return found == nullptr ? nullptr : *found;
}

TEST(CalicoInEtcd, PolicyOfCalicoctl) {
  const auto policy = valueOf<Policy>(decoded(
      "networkpolicies/shop/default.allow-fe",
      R"j({"kind":"NetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("default.allow-fe","namespace":"shop","uid":"5f1c0b3e-6c1e-4a5e-9d2b-0c1a8f0e7d11",)j"
      R"j("creationTimestamp":"2024-03-01T10:20:30Z"},"spec":{"tier":"default","order":10,"ingress":)j"
      R"j([{"action":"Allow","protocol":"TCP","source":{"selector":"role == 'fe'"},"destination":)j"
      R"j({"ports":[6379,"8000:8010"]}}],"selector":"role == 'be'","types":["Ingress"]}})j"));
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->name, "allow-fe");
  EXPECT_EQ(policy->ingress.size(), 1U);
  EXPECT_THAT(policy->egress, IsEmpty());
}

TEST(CalicoInEtcd, PolicyOfKubeControllers) {
  const auto object = decoded(
      "networkpolicies/shop/knp.default.web",
      R"j({"kind":"NetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("knp.default.web","namespace":"shop","uid":"0a2f3f1c-1111-4222-8333-444455556666",)j"
      R"j("creationTimestamp":"2024-03-01T10:20:30Z"},"spec":{"order":1000,"ingress":[{"action":)j"
      R"j("Allow","source":{"namespaceSelector":"all()"},"destination":{}}],"selector":)j"
      R"j("projectcalico.org/orchestrator == 'k8s' \u0026\u0026 app == 'web'","types":["Ingress"]}})j");
  ASSERT_TRUE(valueOf<Policy>(object));
  EXPECT_EQ(object.key.name, "knp.default.web");
}

TEST(CalicoInEtcd, EndpointOfTheCniPlugin) {
  const auto endpoint = valueOf<WorkloadEndpoint>(decoded(
      "workloadendpoints/shop/node--1-k8s-web--7d4-eth0",
      R"j({"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("node--1-k8s-web--7d4-eth0","generateName":"web-","namespace":"shop","uid":)j"
      R"j("9c6e0b7a-0000-4000-8000-000000000001","creationTimestamp":"2024-03-01T10:20:30Z",)j"
      R"j("labels":{"app":"web","projectcalico.org/namespace":"shop",)j"
      R"j("projectcalico.org/orchestrator":"k8s","projectcalico.org/serviceaccount":"default"}},)j"
      R"j("spec":{"orchestrator":"k8s","workload":"","node":"node-1","containerID":"abc","pod":)j"
      R"j("web-7d4","endpoint":"eth0","serviceAccountName":"default","ipNetworks":)j"
      R"j(["192.168.9.4/32"],"ipNATs":null,"ipv4Gateway":"","ipv6Gateway":"","profiles":)j"
      R"j(["kns.shop","ksa.shop.default"],"interfaceName":"cali0a1b2c3d4e5","mac":"","ports":)j"
      R"j([{"name":"http","protocol":"TCP","port":80,"hostPort":0,"hostIP":""}]}})j"));
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->details().interfaceName, "cali0a1b2c3d4e5");
  EXPECT_EQ(endpoint->workload(), "web-7d4");
  EXPECT_EQ(endpoint->labels.get("app"), "web");
  EXPECT_EQ(endpoint->profiles->size(), 2U);
}

TEST(CalicoInEtcd, WhatCalicoNodeMakes) {
  EXPECT_TRUE(valueOf<Node>(decoded(
      "nodes/node-1",
      R"j({"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"node-1","uid":)j"
      R"j("9c6e0b7a-0000-4000-8000-000000000002","creationTimestamp":"2024-03-01T10:20:30Z"},"spec":)j"
      R"j({"bgp":{"ipv4Address":"10.0.0.1/24","ipv4IPIPTunnelAddr":"192.168.9.1"},"orchRefs":)j"
      R"j([{"nodeName":"node-1","orchestrator":"k8s"}],"addresses":[{"address":"10.0.0.1/24",)j"
      R"j("type":"CalicoNodeIP"}]},"status":{}})j")));
  EXPECT_TRUE(valueOf<IPPool>(decoded(
      "ippools/default-ipv4-ippool",
      R"j({"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("default-ipv4-ippool","uid":"u","creationTimestamp":"2024-03-01T10:20:30Z"},"spec":)j"
      R"j({"cidr":"192.168.0.0/16","vxlanMode":"Never","ipipMode":"Always","natOutgoing":true,)j"
      R"j("blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"]
}
})j")));
  EXPECT_TRUE(valueOf<FelixConfiguration>(decoded(
      "felixconfigurations/node.node-1",
      R"j({"kind":"FelixConfiguration","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("node.node-1","uid":"u","creationTimestamp":"2024-03-01T10:20:30Z"},"spec":)j"
      R"j({"defaultEndpointToHostAction":"Return"}})j")));
  EXPECT_TRUE(valueOf<ClusterInformation>(decoded(
      "clusterinformations/default",
      R"j({"kind":"ClusterInformation","apiVersion":"projectcalico.org/v3","metadata":{"name":)j"
      R"j("default","uid":"u","creationTimestamp":"2024-03-01T10:20:30Z"},"spec":{"clusterGUID":)j"
      R"j("b0d6a9f0c4cc4f2b9f5f5e0f1a2b3c4d","clusterType":"k8s,bgp","calicoVersion":"v3.27.0",)j"
      R"j("datastoreReady":true}})j")));
  EXPECT_TRUE(valueOf<Profile>(decoded(
      "profiles/kns.shop",
      R"j({"kind":"Profile","apiVersion":"projectcalico.org/v3","metadata":{"name":"kns.shop","uid":)j"
      R"j("u","creationTimestamp":"2024-03-01T10:20:30Z"},"spec":{"ingress":[{"action":"Allow",)j"
      R"j("source":{},"destination":{}}],"egress":[{"action":"Allow","source":{},"destination":{}}],)j"
      R"j("labelsToApply":{"pcns.projectcalico.org/name":"shop"}}})j")));
}

}  // namespace
}  // namespace margay::api
