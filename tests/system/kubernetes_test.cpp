#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "tests/system/kubernetes_world.h"

/// Policy from a real Kubernetes API, with real packets on two nodes.
namespace margay::system_tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class OnApiServer : public TwoNodesTest {
 protected:
  bool reaches(const Pod& from, const Pod& to, std::chrono::milliseconds patience,
               std::uint16_t port = 80) {
    return tcpReaches(from.from(), to.address(), port, patience) &&
           tcpReaches(from.from(), to.address(Family::V6), port, patience);
  }
};

const std::string kOnlyShop =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    "metadata: {name: only-shop, namespace: shop}\n"
    "spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: "
    "{matchLabels: {team: shop}}}], ports: [{port: 80}]}]}\n";

TEST_F(OnApiServer, PolicyHoldsBetweenNamespacesAndNodes) {
  auto& db = addPod(one(), {.name = "db",
                            .ns = "shop",
                            .addresses = {"10.65.1.2", "fd65:0:0:1::2"},
                            .labels = {{"app", "db"}}});
  auto& friendly =
      addPod(two(), {.name = "web", .ns = "shop", .addresses = {"10.65.2.2", "fd65:0:0:2::2"}});
  auto& stranger =
      addPod(two(), {.name = "bot", .ns = "ads", .addresses = {"10.65.2.3", "fd65:0:0:2::3"}});
  startBoth();
  const EchoServer http(db.ns(), 80);
  const EchoServer other(db.ns(), 90);
  EXPECT_TRUE(reaches(friendly, db, kPatience)) << "without a policy all is allowed";
  EXPECT_TRUE(reaches(stranger, db, kPatience));

  server().mustKubectl("apply -f -", kOnlyShop);
  converge();
  EXPECT_TRUE(reaches(friendly, db, kPatience));
  EXPECT_FALSE(tcpReaches(friendly.from(), db.address(), 90, kNoAnswer));
  EXPECT_FALSE(tcpReaches(stranger.from(), db.address(), 80, kNoAnswer));
  EXPECT_FALSE(tcpReaches(stranger.from(), db.address(Family::V6), 80, kNoAnswer));

  server().mustKubectl("label namespace ads team=shop --overwrite");
  converge();
  EXPECT_TRUE(reaches(stranger, db, kPatience));
  server().mustKubectl("label pod db -n shop app=other --overwrite");
  converge();
  EXPECT_TRUE(reaches(stranger, db, kPatience, 90)) << "the policy selects it no more";
}

TEST_F(OnApiServer, CalicosPoliciesAndPoolsCountAsTheyStandInTheirCustomResources) {
  auto& db = addPod(one(), {.name = "db",
                            .ns = "shop",
                            .addresses = {"10.65.1.2", "fd65:0:0:1::2"},
                            .labels = {{"app", "db"}}});
  auto& web = addPod(one(), {.name = "web",
                             .ns = "ads",
                             .addresses = {"10.65.1.3", "fd65:0:0:1::3"},
                             .serviceAccount = "web"});
  server().mustKubectl("create serviceaccount web -n ads");
  startBoth();
  const EchoServer http(db.ns(), 80);
  const std::string head = "apiVersion: crd.projectcalico.org/v1\n";
  server().mustKubectl(
      "apply -f -", head +
                        "kind: GlobalNetworkPolicy\nmetadata: {name: default.quiet}\n"
                        "spec: {order: 100, selector: \"app == 'db'\", types: [Ingress], ingress: "
                        "[{action: Deny}]}\n");
  converge();
  EXPECT_FALSE(tcpReaches(web.from(), db.address(), 80, kNoAnswer));
  server().mustKubectl(
      "apply -f -",
      head + "kind: Tier\nmetadata: {name: first}\nspec: {order: 1}\n---\n" + head +
          "kind: NetworkPolicy\nmetadata: {name: first.let-web, namespace: shop}\n"
          "spec: {tier: first, order: 1, selector: \"app == 'db'\", types: [Ingress], ingress: "
          "[{action: Allow, protocol: TCP, source: {serviceAccounts: {names: [web]}, "
          "namespaceSelector: \"team == 'ads'\"}, destination: {ports: [80]}}]}\n");
  converge();
  EXPECT_TRUE(reaches(web, db, kPatience));
  EXPECT_THAT(one().ctl("explain --from ads/web --to shop/db --protocol tcp --port 80").output,
              HasSubstr("let-web"));
  server().mustKubectl("delete tier.crd.projectcalico.org first");
  server().mustKubectl("delete networkpolicies.crd.projectcalico.org first.let-web -n shop");
  converge();
  EXPECT_FALSE(tcpReaches(web.from(), db.address(), 80, kNoAnswer));
}

TEST_F(OnApiServer, PodsThatEndOrGoAreOutOfTheKernel) {
  auto& db = addPod(one(), {.name = "db", .ns = "shop", .addresses = {"10.65.1.2"}});
  auto& web = addPod(one(), {.name = "web", .ns = "shop", .addresses = {"10.65.1.3"}});
  startBoth();
  EXPECT_THAT(one().mustSh("ip route"), HasSubstr("10.65.1.2 dev " + db.device()));
  server().mustKubectl("delete pod db -n shop --grace-period=0 --force 2>&1");
  server().mustCall("PATCH", "/api/v1/namespaces/shop/pods/web/status",
                    R"({"status": {"phase": "Succeeded"}})", "application/merge-patch+json");
  converge();
  const auto routes = one().mustSh("ip route");
  EXPECT_THAT(routes, ::testing::Not(HasSubstr(db.device())));
  EXPECT_THAT(routes, ::testing::Not(HasSubstr(web.device())));
  EXPECT_EQ(one().metric("margay_endpoints{scope=\"local\"}"), 0);
}

std::string globalPolicy(const std::string& name, const std::string& selector,
                         const std::string& action) {
  return "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\nmetadata: {name: " +
         name + "}\nspec: {order: 1, selector: \"" + selector +
         "\", types: [Ingress], ingress: [{action: " + action + "}]}\n---\n";
}

TEST_F(OnApiServer, NamesWhatTheServerAcceptsAndWeDoNotAndTakesTheRest) {
  auto& db =
      addPod(one(), {.name = "db", .ns = "shop", .addresses = {"10.65.1.2", "fd65:0:0:1::2"}});
  auto& web = addPod(one(), {.name = "web", .ns = "shop", .addresses = {"10.65.1.3"}});
  startAgent(one());
  const EchoServer http(db.ns(), 80);
  server().mustKubectl("apply -f -", globalPolicy("default.bad", "app == (", "Allow") +
                                         globalPolicy("default.good", "all()", "Deny"));
  one().converge();
  const std::string invalid = "margay_invalid_objects{kind=\"GlobalNetworkPolicy\"}";
  EXPECT_EQ(one().metric(invalid), 1);
  EXPECT_THAT(one().ctl("status").output, AllOf(HasSubstr("bad"), HasSubstr("spec.selector")));
  EXPECT_FALSE(tcpReaches(web.from(), db.address(), 80, kNoAnswer)) << "the other one counts";
  server().mustKubectl("apply -f -", globalPolicy("default.bad", "all()", "Allow"));
  one().converge();
  EXPECT_EQ(one().metric(invalid), 0);
  EXPECT_TRUE(tcpReaches(web.from(), db.address(), 80, kPatience));
}

TEST_F(OnApiServer, OfTwoPoliciesOfOneNameTheSameCountsInWhicheverOrderTheyCame) {
  auto& db = addPod(one(), {.name = "db", .ns = "shop", .addresses = {"10.65.1.2"}});
  auto& web = addPod(one(), {.name = "web", .ns = "shop", .addresses = {"10.65.1.3"}});
  startAgent(one());
  const EchoServer http(db.ns(), 80);
  // Calico calls both of them "door", and writes the longer name.
  for (const bool longFirst : {true, false}) {
    for (const bool first : {true, false})
      server().mustKubectl("apply -f -", first == longFirst
                                             ? globalPolicy("default.door", "all()", "Deny")
                                             : globalPolicy("door", "all()", "Allow"));
    one().converge();
    EXPECT_FALSE(tcpReaches(web.from(), db.address(), 80, kNoAnswer)) << longFirst;
    EXPECT_THAT(one().ctl("status").output, HasSubstr("which counts: remove one of them"));
    server().mustKubectl("delete globalnetworkpolicy.crd.projectcalico.org default.door");
    one().converge();
    EXPECT_TRUE(tcpReaches(web.from(), db.address(), 80, kPatience)) << longFirst;
    server().mustKubectl("delete globalnetworkpolicy.crd.projectcalico.org door");
  }
}

TEST_F(OnApiServer, APolicyOfCalicoThatIsNamedAsAConvertedOneCountsBesideIt) {
  auto& db = addPod(
      one(), {.name = "db", .ns = "shop", .addresses = {"10.65.1.2"}, .labels = {{"app", "db"}}});
  auto& web = addPod(one(), {.name = "web", .ns = "shop", .addresses = {"10.65.1.3"}});
  startAgent(one());
  const EchoServer http(db.ns(), 80);
  const EchoServer other(db.ns(), 90);
  server().mustKubectl("apply -f -",
                       kOnlyShop +
                           "---\napiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\n"
                           "metadata: {name: knp.default.only-shop, namespace: shop}\n"
                           "spec: {selector: all(), types: [Ingress], ingress: [{action: Allow, "
                           "protocol: TCP, destination: {ports: [90]}}]}\n");
  one().converge();
  EXPECT_TRUE(tcpReaches(web.from(), db.address(), 80, kPatience));
  EXPECT_TRUE(tcpReaches(web.from(), db.address(), 90, kPatience));
  server().mustKubectl("delete networkpolicies.networking.k8s.io only-shop -n shop");
  one().converge();
  EXPECT_FALSE(tcpReaches(web.from(), db.address(), 80, kNoAnswer));
  EXPECT_TRUE(tcpReaches(web.from(), db.address(), 90, kPatience));
}

TEST_F(OnApiServer, ANodeHasANetworkFromTheTimeItIsReadyToTheEndOfItsAgent) {
  const auto unavailable = [this] {
    const auto node = json::parse(server().mustCall("GET", "/api/v1/nodes/one"));
    for (const auto& each : node["status"].value("conditions", json::array()))
      if (each["type"] == "NetworkUnavailable") return each["status"].get<std::string>();
    return std::string();
  };
  const auto isEventually = [&](const std::string& status) {
    return eventually([&] { return unavailable() == status; }, std::chrono::seconds(20));
  };
  EXPECT_EQ(unavailable(), "");
  startAgent(one());
  EXPECT_TRUE(isEventually("False")) << one().log();
  EXPECT_EQ(one().stop(), 0);
  EXPECT_EQ(unavailable(), "True");
  startAgent(one());
  EXPECT_TRUE(isEventually("False")) << one().log();
}

using Right = std::tuple<std::string, std::string, std::string>;  // group, resource, verb

std::set<Right> granted(const json& role) {
  std::set<Right> out;
  for (const auto& rule : role["rules"])
    for (const auto& group : rule["apiGroups"])
      for (const auto& resource : rule["resources"])
        for (const auto& verb : rule["verbs"])
          out.emplace(group.get<std::string>(), resource.get<std::string>(),
                      verb.get<std::string>());
  return out;
}

TEST_F(OnApiServer, TheAgentUsesEveryRightThatTheManifestsGiveItAndNoOther) {
  addPod(one(), {.name = "db", .ns = "shop", .addresses = {"10.65.1.2"}});
  startBoth();
  server().mustKubectl("apply -f -", kOnlyShop);
  converge();
  one().stop();
  startAgent(one(), {{"CLUSTER_TYPE", "k8s"}});  // which it adds to what is known of the cluster
  const auto rights = granted(json::parse(server().mustKubectl("get clusterrole margay -o json")));
  std::set<Right> used;
  const auto allUsed = [&] {
    for (const auto& request : audit())
      if (request.user == kAgentAccount && !request.resource.empty())
        used.insert({request.group, request.resource, request.verb});
    return used.size() >= rights.size();
  };
  EXPECT_TRUE(eventually(allUsed, std::chrono::seconds(20)));
  EXPECT_EQ(used, rights);
  for (const auto& request : audit())
    EXPECT_FALSE(request.status == 401 || request.status == 403)
        << request.user << ' ' << request.verb << ' ' << request.path << ": " << request.status;
}

}  // namespace
}  // namespace margay::system_tests
