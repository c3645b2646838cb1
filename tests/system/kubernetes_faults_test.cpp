#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/system/backend.h"
#include "tests/system/kubernetes_world.h"
#include "tests/system/load.h"

/// What happens to packets while the Kubernetes API has trouble: flows that are allowed lose none,
/// and none passes of those that are not.
namespace margay::system_tests {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OnApiServerFaults : public TwoNodesTest {
 protected:
  void SetUp() override {
    TwoNodesTest::SetUp();
    if (IsSkipped()) return;
    db_ = &addPod(one(), {.name = "db",
                          .ns = "shop",
                          .addresses = {"10.65.1.2", "fd65:0:0:1::2"},
                          .labels = {{"app", "db"}}});
    web_ = &addPod(two(), {.name = "web", .ns = "shop", .addresses = {"10.65.2.2"}});
    bot_ = &addPod(two(), {.name = "bot", .ns = "ads", .addresses = {"10.65.2.3"}});
    allowFrom("shop");
    startBoth();
  }
  void TearDown() override {
    allowed_.reset();
    denied_.reset();
    TwoNodesTest::TearDown();
  }
  Pod& db() { return *db_; }
  Pod& bot() { return *bot_; }

  /// The database may be reached at UDP ports 79 and 80 by namespaces of this team alone, and at
  /// `more` by all.
  void allowFrom(const std::string& team, int more = 81) {
    server().mustKubectl(
        "apply -f -",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: "
        "shop}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: "
        "[{namespaceSelector: {matchLabels: {team: " +
            team +
            "}}}], ports: [{port: 79, protocol: UDP}, {port: 80, protocol: UDP}]}, {ports: "
            "[{port: " +
            std::to_string(more) + ", protocol: UDP}]}]}\n");
  }
  /// One flow after the other from `web`, which is allowed, and from `bot`, which is not.
  void load() {
    allowed_ = std::make_unique<Way>(*web_, *db_, Family::V4, 80, LoadKind::NewFlows);
    denied_ = std::make_unique<Way>(*bot_, *db_, Family::V4, 79, LoadKind::NewFlows);
    EXPECT_TRUE(eventually([&] { return allowed_->counter.arrived() > 100; }));
  }
  void expectNothingLostOrLeaked() {
    const auto sent = allowed_->load.stop();
    EXPECT_THAT(allowed_->counter.missing(sent), IsEmpty())
        << sent - allowed_->counter.arrived() << " lost of " << sent;
    EXPECT_EQ(denied_->counter.arrived(), 0U) << "of " << denied_->load.sent();
  }
  /// A change at the server reaches the kernel: `bot` may send to a port that was closed.
  void expectChangesArrive(int port) {
    const EchoServer echo(db().ns(), static_cast<std::uint16_t>(port));
    const auto to = db().address();
    EXPECT_FALSE(udpReaches(bot().from(), to, static_cast<std::uint16_t>(port), kNoAnswer));
    allowFrom("shop", port);
    EXPECT_TRUE(udpReaches(bot().from(), to, static_cast<std::uint16_t>(port), seconds(40)))
        << one().log();
  }
  void expectSourceAway() {
    EXPECT_TRUE(eventually(
        [&] { return one().metric("margay_datastore_connected{source=\"kubernetes\"}") == 0; },
        seconds(60)));
  }

 private:
  Pod* db_ = nullptr;
  Pod* web_ = nullptr;
  Pod* bot_ = nullptr;
  std::unique_ptr<Way> allowed_;
  std::unique_ptr<Way> denied_;
};

TEST_F(OnApiServerFaults, TheServerEndsAndComesBack) {
  load();
  server().stop();
  expectSourceAway();
  server().start();
  expectChangesArrive(82);
  server().kill();
  server().start();
  expectChangesArrive(83);
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, WatchesAreTooOldAfterACompaction) {
  load();
  // The agent hears nothing while things change and are forgotten.
  ASSERT_EQ(::kill(one().pid(), SIGSTOP), 0);
  allowFrom("shop", 82);
  server().mustKubectl("create serviceaccount another -n shop");
  server().compact();
  server().stop();
  server().start();
  ASSERT_EQ(::kill(one().pid(), SIGCONT), 0);
  expectChangesArrive(83);
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, TheServerHangs) {
  load();
  server().freeze();
  EXPECT_NE(one().ctl("wait --timeout 2s").status, 0) << "it cannot know what the server has";
  server().thaw();
  expectChangesArrive(82);
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, ARefusedTokenIsReplacedByTheOneInTheFile) {
  load();
  server().mustKubectl("delete serviceaccount margay -n kube-system");
  server().mustKubectl("create serviceaccount margay -n kube-system");
  server().stop();
  server().start();
  expectSourceAway();
  renewToken();
  expectChangesArrive(82);
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, AnExpiredTokenIsNamedOnceUntilTheFileHasAFreshOne) {
  load();
  const auto before = kernelState(one());
  const auto token = server().expiringToken("kube-system", "margay", seconds(15));
  putToken(token);
  EXPECT_EQ(one().ctl("wait --timeout 30s").status, 0) << "not before it expires";
  ASSERT_TRUE(eventually([&] { return server().statusFor(token) == 401; }, seconds(60)));
  // Watches outlive the token that they were opened with; who asks anything now is refused.
  EXPECT_NE(one().ctl("wait --timeout 5s").status, 0);
  expectSourceAway();
  EXPECT_EQ(kernelState(one()), before);
  const auto times = [this](const std::string& part) {
    const auto log = one().log();
    int found = 0;
    for (auto at = log.find(part); at != std::string::npos; at = log.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_THAT(one().log(), HasSubstr("(401): is the token or certificate still valid?"));
  renewToken();
  expectChangesArrive(82);
  EXPECT_EQ(times("a person must act"), 1) << one().log();
  EXPECT_EQ(times("Kubernetes is away"), 1) << one().log();
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, AnAgentThatStartsWithoutAServerChangesNothingUntilItIsThere) {
  load();
  server().stop();
  ASSERT_EQ(one().stop(), 0);
  one().start(access(one()));
  const auto logged = [&] { return one().log().find("127.0.0.1") != std::string::npos; };
  EXPECT_TRUE(eventually(logged, seconds(30)));
  EXPECT_NE(one().sh("curl -sf http://127.0.0.1:9099/readiness").status, 0);
  EXPECT_NE(one().ctl("wait --timeout 1s").status, 0);
  server().start();
  converge();
  EXPECT_EQ(one().sh("curl -sf http://127.0.0.1:9099/readiness").status, 0);
  expectChangesArrive(82);
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, ADefinitionThatComesLateIsFollowedFromThenOn) {
  load();
  const std::string crd = "globalnetworkpolicies.crd.projectcalico.org";
  server().mustKubectl("delete crd " + crd);
  ASSERT_EQ(one().stop(), 0);
  startAgent(one());
  const EchoServer echo(db().ns(), 81);
  EXPECT_TRUE(udpReaches(bot().from(), db().address(), 81, kPatience));
  server().mustKubectl("apply -f " MARGAY_SOURCE_DIR
                       "/manifests/kubernetes/crds/globalnetworkpolicies.yaml");
  server().mustKubectl("wait --for=condition=Established crd/" + crd + " --timeout=30s");
  server().mustKubectl("apply -f -",
                       "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\n"
                       "metadata: {name: default.no-81}\nspec: {order: 1, selector: \"app == "
                       "'db'\", types: [Ingress], ingress: [{action: Deny, protocol: UDP, "
                       "destination: {ports: [81]}}]}\n");
  EXPECT_TRUE(eventually([&] { return !udpReaches(bot().from(), db().address(), 81, kNoAnswer); },
                         seconds(90)))
      << one().log();
  expectNothingLostOrLeaked();
}

TEST_F(OnApiServerFaults, ANamespaceWithAThousandPodsIsRelabelledBackAndForth) {
  addNamespace("crowd", {{"team", "crowd"}});
  constexpr int kPods = 1000;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = thread; i < kPods; i += 4)
        addPodObject("two", "crowd", "p" + std::to_string(i),
                     "10.66." + std::to_string(i / 250) + '.' + std::to_string(1 + i % 250));
    });
  }
  for (auto& thread : threads) thread.join();
  converge();
  load();
  const auto members = [&] {
    for (const auto& set : one().json("inspect sets"))
      if (set["selector"].get<std::string>().find("pcns.team") != std::string::npos)
        return set["members"].size();
    return std::size_t{0};
  };
  const auto before = members();
  for (int turn = 0; turn < 4; ++turn) {
    server().mustKubectl("label namespace crowd --overwrite team=" +
                         std::string(turn % 2 == 0 ? "shop" : "crowd"));
    converge();
    EXPECT_EQ(members(), before + (turn % 2 == 0 ? kPods : 0)) << turn;
  }
  expectNothingLostOrLeaked();
}

}  // namespace
}  // namespace margay::system_tests
