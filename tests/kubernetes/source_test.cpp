#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/kubernetes/kubernetes_source.h"
#include "tests/api/mail_reader.h"
#include "tests/api/relay.h"
#include "tests/base/eventually.h"
#include "tests/kubernetes/shared_api_server.h"

/// The source on the real API server.
namespace margay::testing {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const std::string kReader = R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: margay}
rules:
- {apiGroups: [""], resources: [namespaces, serviceaccounts, nodes, pods, services], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list, watch]}
- {apiGroups: [crd.projectcalico.org], resources: ["*"], verbs: [list, watch]}
)";

/// Notices trouble in a fraction of the time that the defaults take.
api::ReflectorOptions quick() {
  api::ReflectorOptions out;
  out.plan.firstRetry = milliseconds(50);
  out.plan.lastRetry = milliseconds(500);
  out.plan.absentRetry = milliseconds(500);
  return out;
}

std::string pod(const std::string& name, const std::string& extra = {}) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         ", namespace: shop, labels: {app: " + name + "}}\n" +
         "spec: {nodeName: worker, containers: [{name: c, image: i}]" + extra + "}\n";
}
std::string keyOf(const std::string& pod) {
  return "WorkloadEndpoint shop/worker-k8s-" + pod + "-eth0";
}

class KubernetesSourceReal : public ::testing::Test {
 protected:
  /// A source with the access of a kubeconfig.
  struct Following {
    explicit Following(const std::string& kubeconfig,
                       const api::ReflectorOptions& options = quick()) {
      auto access = api::kubernetesAccess({{"KUBECONFIG", kubeconfig}});
      EXPECT_TRUE(access) << access.error().what;
      auto client = api::KubernetesClient::make(std::move(*access));
      EXPECT_TRUE(client) << client.error().what;
      source = std::make_unique<api::KubernetesSource>(std::move(*client), mailbox, options);
      source->start();
    }
    ~Following() { source->stop(); }
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;

    bool untilError(const std::string& part) {
      return reader.until([&] { return reader.state().error.find(part) != std::string::npos; });
    }

    api::Mailbox mailbox;
    api::test::MailReader reader{mailbox};
    std::unique_ptr<api::KubernetesSource> source;
  };

  void apply(const std::string& text) { server().mustKubectl("apply -f -", text); }
  /// What a kubelet would say.
  void giveAddress(const std::string& pod, const std::string& ip) {
    const json status = {
        {"status", {{"phase", "Running"}, {"podIP", ip}, {"podIPs", {{{"ip", ip}}}}}}};
    server().mustCall("PATCH", "/api/v1/namespaces/shop/pods/" + pod + "/status", status.dump(),
                      "application/merge-patch+json");
  }
  void makePod(const std::string& name, const std::string& ip) {
    apply(pod(name));
    giveAddress(name, ip);
  }
  void grant() {
    apply(kReader);
    server().mustKubectl("create clusterrolebinding margay --clusterrole=margay --user=agent");
  }
  /// All tests share a server; each finds the namespace "shop" empty, and no rights given.
  void SetUp() override {
    server_ = sharedApiServer();
    if (server_ == nullptr) GTEST_SKIP() << "no kube-apiserver: run tests/kubernetes/build";
    wipeObjects(server());
    for (const char* left : {"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/margay",
                             "/apis/rbac.authorization.k8s.io/v1/clusterroles/margay",
                             "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                             "/api/v1/namespaces/shop/services/web"})
      server().call("DELETE", left);  // a test that did not make it left none
    server().call("POST", "/api/v1/namespaces", R"({"metadata": {"name": "shop"}})");
    audited_ = server().audit().size();
  }
  ApiServer& server() { return *server_; }
  /// What others than administrators have asked since the test began.
  std::vector<AuditedRequest> audit() {
    auto all = server().audit();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(audited_));
    return all;
  }

 private:
  ApiServer* server_ = nullptr;
  std::size_t audited_ = 0;
};

TEST_F(KubernetesSourceReal, ListsAndFollowsEveryKindWithTheRightsOfTheManifest) {
  grant();
  apply("apiVersion: v1\nkind: Node\nmetadata: {name: worker}\nspec: {podCIDR: 10.65.1.0/24}\n");
  makePod("a", "10.65.1.2");
  Following kubernetes(server().kubeconfig("agent"));
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced()) << reader.state().error;
  EXPECT_TRUE(reader.has(keyOf("a")));
  EXPECT_TRUE(reader.has("Node worker"));
  EXPECT_TRUE(reader.has("Profile kns.shop"));
  makePod("b", "10.65.1.3");
  EXPECT_TRUE(reader.untilHas(keyOf("b")));
  server().mustKubectl("create serviceaccount clerk -n shop");
  EXPECT_TRUE(reader.untilHas("Profile ksa.shop.clerk"));
  apply(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: "
      "shop}\nspec: {podSelector: {}}\n");
  EXPECT_TRUE(reader.untilHas("KubernetesNetworkPolicy shop/deny"));
  apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: "
      "{app: a}, ports: [{port: 80}]}\n");
  EXPECT_TRUE(reader.untilHas("Service shop/web"));
  apply(
      "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: web-1, "
      "namespace: shop, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"
      "endpoints: [{addresses: [10.65.1.2]}]\nports: [{port: 80}]\n");
  EXPECT_TRUE(reader.untilHas("EndpointSlice shop/web-1"));
  server().mustKubectl("delete pod a -n shop --grace-period=0 --force");
  EXPECT_TRUE(reader.untilGone(keyOf("a")));
  server().mustKubectl("delete networkpolicy deny -n shop");
  EXPECT_TRUE(reader.untilGone("KubernetesNetworkPolicy shop/deny"));
  EXPECT_FALSE(reader.state().error.size() > 0) << reader.state().error;
}

TEST_F(KubernetesSourceReal, ReadsMoreThanAPage) {
  std::string many;
  for (int i = 0; i < 620; ++i)
    many += "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s" + std::to_string(i) +
            ", namespace: shop}\n---\n";
  server().mustKubectl("create --validate=false -f -", many);
  Following kubernetes(server().kubeconfig());
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  EXPECT_TRUE(kubernetes.reader.has("Profile ksa.shop.s0"));
  EXPECT_TRUE(kubernetes.reader.has("Profile ksa.shop.s619"));
}

TEST_F(KubernetesSourceReal, SaysNothingOfStatusThatChangesNothing) {
  makePod("a", "10.65.1.2");
  Following kubernetes(server().kubeconfig());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  for (int i = 0; i < 10; ++i) {
    const json status = {
        {"status",
         {{"conditions", {{{"type", "Ready"}, {"status", i % 2 == 0 ? "True" : "False"}}}}}}};
    server().mustCall("PATCH", "/api/v1/namespaces/shop/pods/a/status", status.dump(),
                      "application/merge-patch+json");
  }
  makePod("last", "10.65.1.9");
  ASSERT_TRUE(reader.untilHas(keyOf("last")));
  EXPECT_EQ(reader.updates(), 1U);
}

TEST_F(KubernetesSourceReal, GoesOnWhereItWasWhenTheServerIsStartedAgain) {
  makePod("a", "10.65.1.2");
  Following kubernetes(server().kubeconfig());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  server().kill();
  ASSERT_TRUE(reader.untilConnected(false));
  EXPECT_TRUE(reader.state().synced);
  EXPECT_THAT(reader.state().error, AllOf(HasSubstr(server().url()), Not(HasSubstr("\n"))));
  server().start();
  makePod("b", "10.65.1.3");
  EXPECT_TRUE(reader.untilHas(keyOf("b"), seconds(10)));
  EXPECT_TRUE(reader.untilConnected(true));
  EXPECT_TRUE(reader.has(keyOf("a")));
  EXPECT_EQ(reader.updates(), 1U);
}

TEST_F(KubernetesSourceReal, WaitsForAServerThatIsNotThereYet) {
  makePod("a", "10.65.1.2");
  server().kill();
  Following kubernetes(server().kubeconfig());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(kubernetes.untilError(server().url()));
  EXPECT_FALSE(reader.state().synced);
  server().start();
  EXPECT_TRUE(reader.untilHas(keyOf("a"), seconds(10)));
}

TEST_F(KubernetesSourceReal, ListsAgainWhenWhatItMissedIsCompacted) {
  makePod("stays", "10.65.1.2");
  makePod("goes", "10.65.1.3");
  Following kubernetes(server().kubeconfig());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  kubernetes.source->stop();
  const auto lists = reader.state().resyncs;
  server().mustKubectl("delete pod goes -n shop --grace-period=0 --force");
  makePod("comes", "10.65.1.4");
  server().compact();
  server().stop();  // a server that has just started has none of the old events in memory
  server().start();
  kubernetes.source->start();
  EXPECT_TRUE(reader.untilHas(keyOf("comes"), seconds(10)));
  EXPECT_TRUE(reader.untilGone(keyOf("goes")));
  EXPECT_TRUE(reader.has(keyOf("stays")));
  EXPECT_GT(reader.state().resyncs, lists);
}

TEST_F(KubernetesSourceReal, FollowsAServerThatHungForAWhile) {
  Following kubernetes(server().kubeconfig());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  server().freeze();
  kubernetes.source->relist(3);
  server().thaw();
  ASSERT_TRUE(reader.until([&] { return !reader.barriers().empty(); }));
  makePod("a", "10.65.1.2");
  EXPECT_TRUE(reader.untilHas(keyOf("a")));
}

TEST_F(KubernetesSourceReal, NamesWhatItMayNotReadAndGoesOnWhenItMay) {
  Following kubernetes(server().kubeconfig("agent"));
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(kubernetes.untilError("may not list pods (403"));
  ASSERT_TRUE(kubernetes.untilError("may not list networkpolicies.networking.k8s.io (403"));
  EXPECT_THAT(reader.state().error, AllOf(HasSubstr("User \"agent\""),
                                          HasSubstr("verbs list and watch"), Not(HasSubstr("\n"))));
  EXPECT_FALSE(reader.state().synced);
  grant();
  EXPECT_TRUE(reader.untilSynced()) << reader.state().error;
}

TEST_F(KubernetesSourceReal, KeepsItsStateWhenItsRightsAreTaken) {
  grant();
  makePod("a", "10.65.1.2");
  Following kubernetes(server().kubeconfig("agent"));
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  server().mustKubectl("delete clusterrolebinding margay");
  kubernetes.source->relist(1);
  ASSERT_TRUE(kubernetes.untilError("403"));
  EXPECT_TRUE(reader.state().synced);
  EXPECT_EQ(reader.updates(), 0U);
  server().mustKubectl("create clusterrolebinding margay --clusterrole=margay --user=agent");
  EXPECT_TRUE(reader.until([&] { return !reader.barriers().empty(); }));
}

TEST_F(KubernetesSourceReal, TakesATokenThatIsRotated) {
  grant();
  const auto file = server().directory() + "/rotating";
  std::ofstream(file) << "TOKEN-OF-agent";
  const auto kubeconfig = server().writeKubeconfig("rotating", server().url(), file);
  Following kubernetes(kubeconfig);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  std::ofstream(file, std::ios::trunc) << "expired";
  kubernetes.source->relist(1);
  ASSERT_TRUE(kubernetes.untilError("does not accept user 'test' of " + kubeconfig));
  EXPECT_TRUE(reader.state().synced);
  std::ofstream(file, std::ios::trunc) << "TOKEN-OF-agent";
  EXPECT_TRUE(reader.until([&] { return !reader.barriers().empty(); }));
  EXPECT_TRUE(reader.untilConnected(true));
}

TEST_F(KubernetesSourceReal, TakesTheTokenThatAProgramPrints) {
  grant();
  makePod("a", "10.65.1.2");
  const auto credential = server().directory() + "/credential";
  const auto print = [&](const std::string& token) {
    std::ofstream(credential + ".new")
        << json{{"apiVersion", "client.authentication.k8s.io/v1beta1"},
                {"kind", "ExecCredential"},
                {"status", {{"token", token}}}};
    std::filesystem::rename(credential + ".new", credential);
  };
  print("of-nobody");
  const auto kubeconfig = server().directory() + "/program.kubeconfig";
  std::ofstream(kubeconfig) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                               "contexts: [{name: c, context: {cluster: s, user: u}}]\n"
                               "clusters: [{name: s, cluster: {server: \""
                            << server().url() << "\", certificate-authority: " << server().caFile()
                            << "}}]\nusers: [{name: u, user: {exec: {apiVersion: "
                               "client.authentication.k8s.io/v1beta1, command: cat, args: ["
                            << credential << "]}}}]\n";
  Following kubernetes(kubeconfig);
  EXPECT_TRUE(kubernetes.untilError("(401)")) << kubernetes.reader.state().error;
  print(server().token("agent"));
  EXPECT_TRUE(kubernetes.reader.untilHas(keyOf("a"))) << kubernetes.reader.state().error;
}

TEST_F(KubernetesSourceReal, RefusesAServerThatItsCaDidNotSign) {
  auto access = api::kubernetesAccess({{"KUBECONFIG", server().kubeconfig()}});
  ASSERT_TRUE(access);
  access->tls.ca.file = "/etc/ssl/certs/ca-certificates.crt";
  api::Mailbox mailbox;
  api::test::MailReader reader(mailbox);
  auto client = api::KubernetesClient::make(*access);
  ASSERT_TRUE(client) << client.error().what;
  api::KubernetesSource source(std::move(*client), mailbox, quick());
  source.start();
  EXPECT_TRUE(reader.until([&] { return !reader.state().error.empty(); }));
  EXPECT_THAT(reader.state().error, AllOf(HasSubstr("certificate is not accepted"),
                                          HasSubstr(access->tls.ca.file), Not(HasSubstr("\n"))));
}

TEST_F(KubernetesSourceReal, NoticesAConnectionThatHasGoneDeaf) {
  api::test::Relay relay(server().port());
  auto options = quick();
  options.longestSilence = seconds(2);
  const auto url = "https://127.0.0.1" + relay.url().substr(relay.url().rfind(':'));
  const auto token = server().directory() + "/token-of-admin";
  std::ofstream(token) << server().token("admin");
  Following kubernetes(server().writeKubeconfig("relayed", url, token), options);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced()) << reader.state().error;
  const auto lists = reader.state().resyncs;
  makePod("first", "10.65.1.3");
  ASSERT_TRUE(reader.untilHas(keyOf("first")));
  relay.goDeaf();
  makePod("a", "10.65.1.2");
  // The first new watch may get a connection that was kept, and is deaf too: 15 s for no answer.
  EXPECT_TRUE(reader.untilHas(keyOf("a")));
  EXPECT_EQ(reader.state().resyncs, lists);
}

const std::string kTiers = R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: globalnetworkpolicies.crd.projectcalico.org}
spec:
  group: crd.projectcalico.org
  names: {kind: GlobalNetworkPolicy, listKind: GlobalNetworkPolicyList, plural: globalnetworkpolicies, singular: globalnetworkpolicy}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
)";

TEST_F(KubernetesSourceReal, FindsACrdThatIsAppliedLaterAndForgetsOneThatIsDeleted) {
  grant();
  Following kubernetes(server().kubeconfig("agent"));
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  apply(kTiers);
  server().mustKubectl(
      "wait --for=condition=Established crd/globalnetworkpolicies.crd.projectcalico.org");
  apply(
      "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\n"
      "metadata: {name: default.late}\nspec: {selector: all()}\n");
  EXPECT_TRUE(reader.untilHas("GlobalNetworkPolicy late"));
  server().mustKubectl("delete crd globalnetworkpolicies.crd.projectcalico.org");
  EXPECT_TRUE(reader.untilGone("GlobalNetworkPolicy late"));
  EXPECT_TRUE(reader.untilConnected(true)) << reader.state().error;
}

TEST_F(KubernetesSourceReal, AsksInPagesAndWatchesOnceEachKind) {
  grant();
  Following kubernetes(server().kubeconfig("agent"));
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  makePod("a", "10.65.1.2");
  ASSERT_TRUE(kubernetes.reader.untilHas(keyOf("a")));
  kubernetes.source->stop();  // a watch is logged at its end
  std::vector<std::string> asked;
  const auto isLogged = [&] {
    asked.clear();
    for (const auto& request : audit()) {
      // Rights that were just given may not be known to the server yet.
      if (request.resource == "pods" && request.user == "agent" && request.status == 200)
        asked.push_back(request.verb + ' ' + request.path);
    }
    return asked.size() >= 2;
  };
  EXPECT_TRUE(eventually(isLogged));
  EXPECT_THAT(asked, UnorderedElementsAre(
                         "list /api/v1/pods?limit=500",
                         AllOf(HasSubstr("watch "), HasSubstr("allowWatchBookmarks=true"),
                               HasSubstr("timeoutSeconds="), HasSubstr("resourceVersion="))));
}

}  // namespace
}  // namespace margay::testing
