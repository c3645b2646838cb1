#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/system/etcd_world.h"
#include "tests/system/probe.h"

/// Two hosts on a real etcd that holds what Calico's own programs have written, byte for byte:
/// its policy is enforced on packets, and what we write stands beside it under the same keys.
namespace margay::system_tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;
using stored::kPrefix;

class CalicoEtcd : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite() { world_.reset(); }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "system tests make network namespaces: run them as root";
    if (!world_) GTEST_SKIP() << "no etcd to run";
  }
  void TearDown() override {
    if (!world_) return;
    for (const auto& key : put_) world().remove(key);
    if (HasFailure()) std::cerr << "log of one:\n" << one().log() << "log of two:\n" << two().log();
  }

  static EtcdWorld& world() { return world_->etcd; }
  static Host& one() { return *world_->one; }
  static Host& two() { return *world_->two; }
  static Pod& web() { return *world_->web; }    ///< on one: app=web
  static Pod& near() { return *world_->near; }  ///< on one: role=near
  static Pod& far() { return *world_->far; }    ///< on two: role=far
  static Pod& twin() { return *world_->twin; }  ///< on two, in namespace other

  /// Until the end of the test.
  void put(const std::string& plural, const stored::Meta& meta, const std::string& spec) {
    const auto key = kPrefix + plural + "/" + (meta.ns.empty() ? "" : meta.ns + "/") + meta.name;
    world().put(key, stored::object(meta, spec));
    keep(key);
  }
  /// Goes with the end of the test.
  void keep(const std::string& key) { put_.insert(key); }
  void policy(const std::string& name, const std::string& spec) {
    put("networkpolicies", {.kind = "NetworkPolicy", .name = name, .ns = "shop"}, spec);
  }
  void global(const std::string& name, const std::string& tier, const std::string& spec) {
    put("globalnetworkpolicies",
        {.kind = "GlobalNetworkPolicy",
         .name = name,
         .labels = tier.empty() ? "" : R"({"projectcalico.org/tier":")" + tier + R"("})"},
        spec);
  }

  static void converge() {
    for (const auto* host : {&one(), &two()}) host->converge();
  }
  static void expect(const Pod& from, const Pod& to, std::uint16_t port, bool passes) {
    EXPECT_EQ(tcpReaches(from.from(), to.address(), port, passes ? kPatience : kNoAnswer), passes)
        << from.spec().name << " to " << to.spec().name << ':' << port;
  }

 private:
  struct World {
    EtcdWorld etcd;
    Host* one = nullptr;
    Host* two = nullptr;
    Pod* web = nullptr;
    Pod* near = nullptr;
    Pod* far = nullptr;
    Pod* twin = nullptr;
    std::vector<std::unique_ptr<EchoServer>> servers;
    ~World() { servers.clear(); }
  };
  static std::unique_ptr<World> world_;
  std::set<std::string> put_;
};

std::unique_ptr<CalicoEtcd::World> CalicoEtcd::world_;

void CalicoEtcd::SetUpTestSuite() {
  if (geteuid() != 0) return;
  auto made = std::make_unique<World>();
  if (!made->etcd.ready()) return;
  world_ = std::move(made);
  auto& cluster = world().cluster();
  world_->one = &cluster.addHost("one");
  world_->two = &cluster.addHost("two");
  const auto pod = [&](Host& host, PodSpec spec) { return &cluster.addPod(host, std::move(spec)); };
  world_->web = pod(
      one(), {.name = "web",
              .ns = "shop",
              .addresses = {"192.168.9.2"},
              .labels = {{"app", "web"}},
              .ports = R"([{"name":"http","protocol":"TCP","port":80,"hostPort":0,"hostIP":""}])",
              .mac = "02:00:00:00:09:02"});
  world_->near = pod(one(), {.name = "near",
                             .ns = "shop",
                             .addresses = {"192.168.9.3"},
                             .labels = {{"role", "near"}},
                             .mac = "02:00:00:00:09:03"});
  world_->far = pod(two(), {.name = "far",
                            .ns = "shop",
                            .addresses = {"192.168.77.3"},
                            .labels = {{"role", "far"}},
                            .mac = "02:00:00:00:77:03"});
  world_->twin = pod(two(), {.name = "twin",
                             .ns = "other",
                             .addresses = {"192.168.77.4"},
                             .labels = {{"role", "near"}},
                             .serviceAccount = "robot",
                             .mac = "02:00:00:00:77:04"});
  world().put(
      kPrefix + "clusterinformations/default",
      stored::object({.kind = "ClusterInformation", .name = "default"},
                     R"({"clusterGUID":"b0d6a9f0c4cc4f2b9f5f5e0f1a2b3c4d","clusterType":"k8s,bgp",)"
                     R"("calicoVersion":"v3.27.0","datastoreReady":true})"));
  world().put(
      kPrefix + "ippools/default-ipv4-ippool",
      stored::object(
          {.kind = "IPPool", .name = "default-ipv4-ippool"},
          R"({"cidr":"192.168.0.0/16","vxlanMode":"Never","ipipMode":"Never","natOutgoing":true,)"
          R"j("blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"]})j"));
  world().put(kPrefix + "felixconfigurations/default",
              stored::object({.kind = "FelixConfiguration", .name = "default"},
                             R"({"logSeverityScreen":"Info","reportingInterval":"0s"})"));
  world().put(kPrefix + "tiers/default",
              stored::object({.kind = "Tier", .name = "default"}, R"({"order":1000000})"));
  int number = 1;
  for (const auto* host : {&one(), &two()}) {
    const auto address = Cluster::hostAddress(number++).str() + "/24";
    world().put(
        kPrefix + "nodes/" + host->name(),
        stored::object({.kind = "Node", .name = host->name()},
                       R"({"bgp":{"ipv4Address":")" + address +
                           R"(","ipv4IPIPTunnelAddr":"192.168.9.1"},"orchRefs":[{"nodeName":")" +
                           host->name() + R"(","orchestrator":"k8s"}],"addresses":[{"address":")" +
                           address + R"(","type":"CalicoNodeIP"}]})"));
  }
  world().put(kPrefix + "profiles/kns.shop", stored::namespaceProfile("shop", {{"team", "red"}}));
  world().put(kPrefix + "profiles/kns.other",
              stored::namespaceProfile("other", {{"team", "blue"}}));
  world().put(kPrefix + "profiles/ksa.shop.default", stored::accountProfile("shop", "default"));
  world().put(kPrefix + "profiles/ksa.other.robot", stored::accountProfile("other", "robot"));
  for (const auto* each : {&web(), &near(), &far(), &twin()}) {
    world().put(stored::workloadEndpointKey(*each), stored::workloadEndpoint(*each));
    for (const int port : {80, 81})
      world_->servers.push_back(
          std::make_unique<EchoServer>(each->ns(), static_cast<std::uint16_t>(port)));
  }
  world().start(one());
  world().start(two());
  converge();
}

TEST_F(CalicoEtcd, ProfilesOfNamespacesAllow) {
  expect(near(), web(), 80, true);
  expect(far(), web(), 80, true);
  expect(twin(), web(), 81, true);
  expect(web(), far(), 80, true);
  const auto status = world().ctl(one(), "status -o json");
  EXPECT_THAT(status.output, HasSubstr(R"("invalidObjects": [])"))
      << "every stored object can be used";
}

TEST_F(CalicoEtcd, PolicyOfKubeControllersIsEnforced) {
  policy(
      "knp.default.web",
      R"({"order":1000,"ingress":[{"action":"Allow","protocol":"TCP","source":{"selector":)"
      R"("projectcalico.org/orchestrator == 'k8s' \u0026\u0026 role == 'far'"},"destination":)"
      R"({"ports":[80]}},{"action":"Allow","source":{"selector":"projectcalico.org/orchestrator == 'k8s'",)"
      R"("namespaceSelector":"team == 'blue'"},"destination":{}}],"selector":)"
      R"("projectcalico.org/orchestrator == 'k8s' \u0026\u0026 app == 'web'","types":["Ingress"]})");
  converge();
  expect(far(), web(), 80, true);
  expect(far(), web(), 81, false);
  expect(near(), web(), 80, false);
  expect(twin(), web(), 81, true);
}

TEST_F(CalicoEtcd, PolicyOfCalicoctlIsEnforcedAndChangesWithItsKey) {
  policy(
      "default.allow-near",
      R"({"tier":"default","order":10,"ingress":[{"action":"Allow","protocol":"TCP","source":)"
      R"({"selector":"role == 'near'"},"destination":{"ports":["http"]}}],"selector":"app == 'web'",)"
      R"("types":["Ingress"]})");
  converge();
  expect(near(), web(), 80, true);
  expect(near(), web(), 81, false);
  expect(far(), web(), 80, false);
  expect(twin(), web(), 80, false);
  EXPECT_THAT(world().ctl(one(), "get np -n shop").output, HasSubstr("allow-near"));
  policy(
      "default.allow-near",
      R"({"tier":"default","order":10,"ingress":[{"action":"Allow","source":{"serviceAccounts":)"
      R"j({"names":["robot"]},"namespaceSelector":"all()"},"destination":{}}],"selector":"app == 'web'","types":["Ingress"]})j");
  converge();
  expect(near(), web(), 80, false);
  expect(twin(), web(), 80, true);
}

TEST_F(CalicoEtcd, PolicyWithoutDefaultBeforeItsNameIsTheSame) {
  policy("plain", R"({"tier":"default","selector":"app == 'web'","types":["Ingress"]})");
  converge();
  expect(near(), web(), 80, false);
  const auto got = world().ctl(one(), "get np plain -n shop -o yaml");
  EXPECT_EQ(got.status, 0) << got.output;
  const auto applied = world().ctl(one(), "apply -f -",
                                   "apiVersion: projectcalico.org/v3\nkind: "
                                   "NetworkPolicy\nmetadata: {name: plain, namespace: shop}\n"
                                   "spec: {selector: app == 'web', ingress: [{action: Allow, "
                                   "source: {selector: role == 'near'}}]}\n");
  EXPECT_EQ(applied.status, 0) << applied.output;
  EXPECT_THAT(world().keys(kPrefix + "networkpolicies/shop/"),
              ::testing::ElementsAre(kPrefix + "networkpolicies/shop/plain"));
  converge();
  expect(near(), web(), 80, true);
  expect(far(), web(), 80, false);
}

TEST_F(CalicoEtcd, TiersSetsAndGlobalPoliciesAreEnforced) {
  put("tiers", {.kind = "Tier", .name = "security"}, R"({"order":100})");
  put("globalnetworksets",
      {.kind = "GlobalNetworkSet", .name = "banned", .labels = R"({"list":"banned"})"},
      R"({"nets":["192.168.77.3/32","203.0.113.0/24"]})");
  put("networksets",
      {.kind = "NetworkSet", .name = "friends", .ns = "shop", .labels = R"({"list":"friends"})"},
      R"({"nets":["192.168.77.4"]})");
  global(
      "security.block", "security",
      R"({"tier":"security","order":1,"selector":"app == 'web'","types":["Ingress"],"ingress":[{"action":)"
      R"j("Deny","source":{"selector":"list == 'banned'","namespaceSelector":"global()"},"destination":{}},)j"
      R"({"action":"Pass","source":{},"destination":{}}]})");
  policy(
      "default.friends",
      R"({"tier":"default","ingress":[{"action":"Allow","source":{"selector":"list == 'friends'"},"destination":)"
      R"({}}],"selector":"app == 'web'","types":["Ingress"]})");
  converge();
  expect(far(), web(), 80, false);
  expect(twin(), web(), 80, true);
  expect(near(), web(), 80, false);
  const auto explained =
      world().ctl(one(), "explain --from shop/far --to shop/web --protocol tcp --port 80 -o json");
  EXPECT_THAT(explained.output, HasSubstr("security.block"));
}

TEST_F(CalicoEtcd, WhatCannotBeUsedIsNamedCountedAndSkipped) {
  const auto bad = [](const std::string& name) { return kPrefix + "networkpolicies/shop/" + name; };
  world().put(bad("default.torn"), R"({"kind":"NetworkPolicy","spec":)");
  world().put(bad("default.stray"), stored::object({.kind = "Tier", .name = "stray"}, "{}"));
  for (const auto* name : {"default.torn", "default.stray"}) keep(bad(name));
  policy("default.wrong", R"({"selector":"role ==","types":["Ingress"]})");
  policy("default.right", R"({"selector":"app == 'web'","types":["Ingress"]})");
  converge();
  expect(near(), web(), 80, false);
  expect(near(), far(), 80, true);
  const std::string count = R"(margay_invalid_objects{kind="NetworkPolicy"})";
  EXPECT_EQ(one().metric(count), 3);
  const auto named = one().json("status")["invalidObjects"].dump();
  for (const auto* what : {"torn", "stray", "wrong", "spec.selector"})
    EXPECT_THAT(named, HasSubstr(what));
  EXPECT_THAT(one().log(), HasSubstr("torn"));
  policy("default.wrong", R"({"selector":"role == 'far'","types":["Ingress"]})");
  converge();
  expect(near(), far(), 80, false);
  EXPECT_EQ(one().metric(count), 2);
}

TEST_F(CalicoEtcd, FelixConfigurationAppliesWithoutARestart) {
  const auto toHost = [&](std::chrono::milliseconds patience) {
    return pingReaches(near().from(), Cluster::hostAddress(1), patience);
  };
  EXPECT_TRUE(toHost(kPatience)) << "as the node has published";
  put("felixconfigurations", {.kind = "FelixConfiguration", .name = "node.one"},
      R"({"defaultEndpointToHostAction":"Drop"})");
  converge();
  EXPECT_FALSE(toHost(kNoAnswer));
  EXPECT_THAT(one().ctl("config").output, HasSubstr("FelixConfiguration node.one"));
}

TEST_F(CalicoEtcd, WhatCalicoNodeWroteStaysAsItIs) {
  const auto node = world().document(kPrefix + "nodes/one");
  EXPECT_EQ(node["spec"]["bgp"]["ipv4Address"], "172.30.0.1/24");
  EXPECT_EQ(node["spec"]["bgp"]["ipv4IPIPTunnelAddr"], "192.168.9.1");
  EXPECT_EQ(node["spec"]["orchRefs"][0]["nodeName"], "one");
  EXPECT_EQ(node["metadata"]["uid"], "9c6e0b7a-8d1f-4b6e-9c53-0242ac110002");
  EXPECT_EQ(world().document(kPrefix + "clusterinformations/default")["spec"]["clusterGUID"],
            "b0d6a9f0c4cc4f2b9f5f5e0f1a2b3c4d");
  for (const auto& key : world().keys("/calico/")) EXPECT_THAT(key, StartsWith(kPrefix));
}

TEST_F(CalicoEtcd, WhatMargayctlWritesHasCalicosKeysAndFields) {
  put("tiers", {.kind = "Tier", .name = "security"}, R"({"order":100})");
  const auto applied =
      world().ctl(one(), "apply -f -",
                  "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: allow, "
                  "namespace: shop}\n"
                  "spec: {selector: app == 'web', egress: [{action: Allow}]}\n---\n"
                  "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: "
                  "security.allow}\n"
                  "spec: {tier: security, selector: all(), ingress: [{action: Pass}], egress: "
                  "[{action: Pass}]}\n---\n"
                  "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: second}\nspec: "
                  "{cidr: 10.9.0.0/16}\n");
  ASSERT_EQ(applied.status, 0) << applied.output;
  const std::string keys[] = {kPrefix + "networkpolicies/shop/default.allow",
                              kPrefix + "globalnetworkpolicies/security.allow",
                              kPrefix + "ippools/second"};
  for (const auto& key : keys) keep(key);
  const auto policy = world().document(keys[0]);
  EXPECT_EQ(policy["metadata"]["name"], "default.allow");
  EXPECT_EQ(policy["metadata"]["namespace"], "shop");
  EXPECT_TRUE(policy["metadata"]["uid"].is_string());
  EXPECT_TRUE(policy["metadata"]["creationTimestamp"].is_string());
  EXPECT_FALSE(policy["metadata"].contains("resourceVersion"));
  EXPECT_EQ(policy["spec"]["types"], Json({"Egress"}));
  const auto tiered = world().document(keys[1]);
  EXPECT_EQ(tiered["metadata"]["name"], "security.allow");
  EXPECT_EQ(tiered["metadata"]["labels"], Json({{"projectcalico.org/tier", "security"}}));
  EXPECT_EQ(tiered["spec"]["types"], Json({"Ingress", "Egress"}));
  EXPECT_EQ(world().document(keys[2])["spec"],
            Json::parse(R"j({"cidr":"10.9.0.0/16","vxlanMode":"Never","ipipMode":"Never",
                            "blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"]})j"));
}

}  // namespace
}  // namespace margay::system_tests
