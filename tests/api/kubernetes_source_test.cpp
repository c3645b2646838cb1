#include "api/kubernetes/kubernetes_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "tests/api/mail_reader.h"
#include "tests/api/relay.h"
#include "tests/api/scripted_api.h"
#include "tests/base/eventually.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ScriptedApi;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

const std::string kPods = "/api/v1/pods";
const std::string kNamespaces = "/api/v1/namespaces";
const std::string kCalicoPolicies = "/apis/crd.projectcalico.org/v1/globalnetworkpolicies";

Json pod(const std::string& name, const std::string& ip = "10.65.0.2") {
  return {{"metadata", {{"name", name}, {"namespace", "default"}, {"labels", {{"app", name}}}}},
          {"spec", {{"nodeName", "n1"}, {"containers", {{{"name", "c"}, {"image", "i"}}}}}},
          {"status", {{"phase", "Running"}, {"podIP", ip}, {"podIPs", {{{"ip", ip}}}}}}};
}
std::string keyOf(const std::string& name) {
  return "WorkloadEndpoint default/n1-k8s-" + name + "-eth0";
}
Json cluster(const std::string& name) {
  return {{"metadata", {{"name", name}}}};
}

/// Notices trouble in a fraction of the time that the defaults take.
ReflectorOptions quick() {
  ReflectorOptions out;
  out.plan.firstRetry = milliseconds(20);
  out.plan.lastRetry = milliseconds(200);
  out.plan.absentRetry = milliseconds(200);
  out.plan.shortWatch = milliseconds(50);
  return out;
}

/// A source on a server.
struct Following {
  explicit Following(const std::string& url, const ReflectorOptions& options = quick(),
                     const std::string& token = {}) {
    KubernetesAccess access;
    access.url = url;
    access.token = token;
    access.user = "user 'test'";
    auto client = KubernetesClient::make(std::move(access));
    EXPECT_TRUE(client) << client.error().what;
    source = std::make_unique<KubernetesSource>(std::move(*client), mailbox, options);
    source->start();
  }
  ~Following() { source->stop(); }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  bool untilError(const std::string& part) {
    return reader.until([&] { return reader.state().error.find(part) != std::string::npos; });
  }

  Mailbox mailbox;
  test::MailReader reader{mailbox};
  std::unique_ptr<KubernetesSource> source;
};

TEST(KubernetesSource, ListsAndThenFollows) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced()) << reader.state().error;
  EXPECT_TRUE(reader.has(keyOf("a")));
  api.put(kPods, pod("b"));
  EXPECT_TRUE(reader.untilHas(keyOf("b")));
  api.remove(kPods, "default", "a");
  EXPECT_TRUE(reader.untilGone(keyOf("a")));
  api.put(kNamespaces, cluster("default"));
  EXPECT_TRUE(reader.untilHas("Profile kns.default"));
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

TEST(KubernetesSource, ReadsAListPageByPage) {
  ScriptedApi api;
  for (int i = 0; i < 1100; ++i) api.put(kPods, pod("p" + std::to_string(i)));
  Following kubernetes(api.url());
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  EXPECT_EQ(kubernetes.reader.size(), 1100U);
  EXPECT_EQ(api.asked("/pods?limit=500"), 3);
  EXPECT_EQ(api.asked("continue=1000"), 1);
}

TEST(KubernetesSource, SaysNothingOfChangesThatChangeNothing) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  auto busy = pod("a");
  for (int i = 0; i < 20; ++i) {
    busy["status"]["conditions"] = Json::array({{{"lastProbeTime", i}}});
    api.put(kPods, busy);
  }
  api.put(kPods, pod("last"));
  ASSERT_TRUE(reader.untilHas(keyOf("last")));
  EXPECT_EQ(reader.updates(), 1U);
  EXPECT_EQ(reader.state().events.at(Kind::WorkloadEndpoint), 2U);
}

TEST(KubernetesSource, AnswersABarrierWithWhatWasWrittenBefore) {
  ScriptedApi api;
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  api.putUnheard(kPods, pod("a"));
  kubernetes.source->relist(7);
  ASSERT_TRUE(reader.until([&] { return !reader.barriers().empty(); }));
  EXPECT_TRUE(reader.has(keyOf("a")));
  EXPECT_TRUE(reader.state().connected);
}

TEST(KubernetesSource, ListsAgainWhenWhatItMissedIsForgotten) {
  ScriptedApi api;
  api.put(kPods, pod("stays"));
  api.put(kPods, pod("goes"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  api.removeUnheard(kPods, "default", "goes");
  api.putUnheard(kPods, pod("comes"));
  api.endWatches();
  EXPECT_TRUE(reader.untilHas(keyOf("comes")));
  EXPECT_TRUE(reader.untilGone(keyOf("goes")));
  EXPECT_TRUE(reader.has(keyOf("stays")));
  EXPECT_EQ(reader.updates(), 2U);
  EXPECT_FALSE(reader.everDisconnected());
}

TEST(KubernetesSource, BeginsAListAnewWhenItsPagesAreForgotten) {
  ScriptedApi api;
  for (int i = 0; i < 600; ++i) api.put(kPods, pod("p" + std::to_string(i)));
  api.answer("continue=", ScriptedApi::refusal(410, "The provided continue parameter is too old"),
             2);
  Following kubernetes(api.url());
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  EXPECT_EQ(kubernetes.reader.size(), 600U);
}

TEST(KubernetesSource, GoesOnFromABookmark) {
  ScriptedApi api;
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  api.bookmark(kPods);
  api.put(kNamespaces, cluster("marker"));
  ASSERT_TRUE(reader.untilHas("Profile kns.marker"));
  EXPECT_TRUE(testing::eventually([&] {
    api.endWatches();
    return api.asked("/pods?watch=true&allowWatchBookmarks=true&resourceVersion=101") > 0;
  }));
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

struct Failure {
  const char* name;
  std::string answer;
  const char* error;
};
class KubernetesSourceFailure : public ::testing::TestWithParam<Failure> {};

TEST_P(KubernetesSourceFailure, IsNamedAndMends) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  api.answer("/pods?limit", GetParam().answer);
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(kubernetes.untilError(GetParam().error)) << reader.state().error;
  EXPECT_THAT(reader.state().error, Not(HasSubstr("\n")));
  EXPECT_FALSE(reader.state().synced);
  api.answerAsUsual();
  ASSERT_TRUE(reader.untilSynced());
  EXPECT_TRUE(reader.has(keyOf("a")));
  EXPECT_EQ(reader.state().error, "");
}

TEST_P(KubernetesSourceFailure, OnceSyncedEmptiesNothing) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  api.answer("/pods?", GetParam().answer);
  api.removeUnheard(kPods, "default", "none");
  api.endWatches();
  ASSERT_TRUE(kubernetes.untilError(GetParam().error)) << reader.state().error;
  EXPECT_TRUE(reader.state().synced);
  EXPECT_FALSE(reader.state().connected);
  EXPECT_EQ(reader.updates(), 0U);
  api.answerAsUsual();
  EXPECT_TRUE(reader.untilSynced());
  EXPECT_TRUE(reader.has(keyOf("a")));
}

INSTANTIATE_TEST_SUITE_P(
    Of, KubernetesSourceFailure,
    ::testing::Values(
        Failure{"Error500", ScriptedApi::refusal(500, "etcd is sick"), "etcd is sick"},
        Failure{"Busy429", ScriptedApi::refusal(429, "slow down"), "429"},
        Failure{"Forbidden403",
                ScriptedApi::refusal(403, "pods is forbidden: User \"test\" cannot list"),
                "give the ClusterRole of this user the verbs list and watch"},
        Failure{"HalfABody",
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"metadata\":{\"resourceVersion\":"
                "\"5\"},\"items\":[{\"metadata\":",
                "pods"},
        Failure{"NoJson",
                "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: "
                "close\r\n\r\n<html>no</html",
                "pods"},
        Failure{"Nothing", "", "127.0.0.1"}),
    [](const auto& failure) { return std::string(failure.param.name); });

std::string wholeBody(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Answers of which each is a proper one for HTTP, and none is a watch.
class KubernetesSourceNoWatch : public ::testing::TestWithParam<Failure> {};

TEST_P(KubernetesSourceNoWatch, IsNamedOnceAndMends) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  api.answer("/pods?watch", GetParam().answer);
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(kubernetes.untilError(GetParam().error)) << reader.state().error;
  EXPECT_TRUE(reader.until([&] { return reader.state().synced; })) << "it can be listed";
  const int asked = api.asked("/pods?watch");
  EXPECT_TRUE(testing::eventually([&] { return api.asked("/pods?watch") > asked + 3; }));
  EXPECT_FALSE(reader.until([&] { return reader.state().connected; }, milliseconds(0)))
      << "it is away until a watch works, however often one opens";
  EXPECT_EQ(api.asked("/pods?limit"), 1);
  api.put(kPods, pod("b"));
  api.answerAsUsual();
  EXPECT_TRUE(reader.untilHas(keyOf("b")));
  EXPECT_TRUE(reader.untilConnected(true));
  EXPECT_TRUE(reader.has(keyOf("a")));
  EXPECT_EQ(reader.state().error, "");
}

INSTANTIATE_TEST_SUITE_P(
    Of, KubernetesSourceNoWatch,
    ::testing::Values(
        Failure{"HalfAList",
                wholeBody(R"({"metadata":{"resourceVersion":"500"},"items":[{"metadata":)"),
                "the watch on pods ends in the middle of an event"},
        Failure{"AList",
                wholeBody(R"({"metadata":{"resourceVersion":"500"},"items":[{"metadata":)"
                          R"({"name":"z","namespace":"default","resourceVersion":"400"}}]})"),
                "the watch on pods is answered by what is no watch"},
        Failure{"AStatus", wholeBody(R"({"kind":"Status","status":"Failure","code":500})"),
                "the watch on pods is answered by what is no watch"},
        Failure{"NothingAtAll", wholeBody(""), "the watch on pods ends as soon as it is open"}),
    [](const auto& failure) { return std::string(failure.param.name); });

TEST(KubernetesSource, ListsAgainAfterAnEventOfAnUnknownType) {
  ScriptedApi api;
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  api.putUnheard(kPods, pod("a"));
  api.event(kPods, "RENAMED", pod("a"));
  EXPECT_TRUE(reader.untilHas(keyOf("a")));
}

TEST(KubernetesSource, WaitsAsLongAsABusyServerAsks) {
  ScriptedApi api;
  api.answer("/pods?limit", ScriptedApi::refusal(429, "slow down", "Retry-After: 1\r\n"), 1);
  const auto began = std::chrono::steady_clock::now();
  Following kubernetes(api.url());
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  EXPECT_GE(std::chrono::steady_clock::now() - began, seconds(1));
  EXPECT_EQ(api.asked("/pods?limit"), 2);
}

TEST(KubernetesSource, FindsAKindThatAppearsLater) {
  ScriptedApi api;
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  api.put(kCalicoPolicies, {{"apiVersion", "crd.projectcalico.org/v1"},
                            {"kind", "GlobalNetworkPolicy"},
                            {"metadata", {{"name", "default.late"}}},
                            {"spec", {{"selector", "all()"}}}});
  EXPECT_TRUE(reader.untilHas("GlobalNetworkPolicy late"));
  EXPECT_TRUE(reader.state().connected);
}

TEST(KubernetesSource, KeepsTheObjectsOfAKindThatGoesUntilThatIsCertain) {
  ScriptedApi api;
  const std::string slices = "/apis/discovery.k8s.io/v1/endpointslices";
  api.put(slices, {{"metadata", {{"name", "s"}, {"namespace", "default"}}},
                   {"addressType", "IPv4"},
                   {"endpoints", Json::array()}});
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  ASSERT_TRUE(reader.has("EndpointSlice default/s"));
  api.answer("/apis/discovery.k8s.io", ScriptedApi::refusal(404, "not found"));
  api.removeUnheard(slices, "default", "none");
  api.endWatches();
  ASSERT_TRUE(kubernetes.untilError("no longer has endpointslices"));
  EXPECT_TRUE(reader.has("EndpointSlice default/s"));
  EXPECT_TRUE(reader.untilGone("EndpointSlice default/s"));
  EXPECT_TRUE(reader.untilConnected(true));
}

TEST(KubernetesSource, TakesTheOlderVersionOfAKindWhereThereIsNoNewer) {
  ScriptedApi api;
  api.put("/apis/discovery.k8s.io/v1beta1/endpointslices",
          {{"apiVersion", "discovery.k8s.io/v1beta1"},
           {"kind", "EndpointSlice"},
           {"metadata", {{"name", "s"}, {"namespace", "default"}}},
           {"addressType", "IPv4"},
           {"endpoints", Json::array()}});
  Following kubernetes(api.url());
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  EXPECT_TRUE(kubernetes.reader.has("EndpointSlice default/s"));
}

TEST(KubernetesSource, NamesWhomTheServerDoesNotKnow) {
  ScriptedApi api;
  api.wantToken("right");
  Following kubernetes(api.url(), quick(), "wrong");
  EXPECT_TRUE(kubernetes.untilError("does not accept user 'test' (401)"))
      << kubernetes.reader.state().error;
}

TEST(KubernetesSource, NamesObjectsThatCannotBeUsedAndTakesTheRest) {
  ScriptedApi api;
  auto bad = pod("bad");
  bad["status"]["podIPs"] = {{{"ip", "10.65.0"}}};
  api.put(kPods, bad);
  api.put(kPods, pod("good"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  EXPECT_TRUE(reader.has(keyOf("good")));
  ASSERT_EQ(reader.state().invalid.size(), 1U);
  EXPECT_EQ(reader.state().invalid[0].field, "status.podIPs[0].ip");
  api.put(kPods, pod("bad"));
  EXPECT_TRUE(reader.untilHas(keyOf("bad")));
  EXPECT_TRUE(reader.state().invalid.empty());
}

int portOf(const ScriptedApi& api) {
  return std::stoi(api.url().substr(api.url().rfind(':') + 1));
}

TEST(KubernetesSource, OpensAWatchAnewThatIsSilentForTooLong) {
  ScriptedApi api;
  test::Relay relay(portOf(api));
  auto options = quick();
  options.longestSilence = milliseconds(400);
  Following kubernetes(relay.url(), options);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  api.put(kPods, pod("first"));
  ASSERT_TRUE(reader.untilHas(keyOf("first")));
  relay.goDeaf();
  api.put(kPods, pod("a"));
  EXPECT_TRUE(reader.untilHas(keyOf("a")));
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

TEST(KubernetesSource, IsAwayWhenTheServerHangsThoughNothingHappens) {
  ScriptedApi api;
  test::Relay relay(portOf(api));
  auto options = quick();
  options.pulse = {milliseconds(300), milliseconds(0), milliseconds(300)};
  Following kubernetes(relay.url(), options);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  relay.freeze();
  ASSERT_TRUE(kubernetes.untilError("does not answer")) << reader.state().error;
  EXPECT_FALSE(reader.state().connected);
  EXPECT_THAT(reader.state().error, Not(HasSubstr("\n")));
  api.put(kPods, pod("a"));
  relay.thaw();
  EXPECT_TRUE(reader.untilHas(keyOf("a")));
  EXPECT_TRUE(reader.untilConnected(true)) << reader.state().error;
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

TEST(KubernetesSource, AsksAServerThatIsAliveAndSilentOneSmallQuestion) {
  ScriptedApi api;
  auto options = quick();
  options.pulse = {milliseconds(100), milliseconds(0), milliseconds(5000)};
  Following kubernetes(api.url(), options);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  reader.forget();
  const auto watches = api.asked("watch=true");
  EXPECT_TRUE(testing::eventually([&] { return api.asked("/version") >= 3; }));
  EXPECT_EQ(api.asked("watch=true"), watches);
  EXPECT_FALSE(reader.everDisconnected());
}

TEST(KubernetesSource, AsksNothingOfAServerThatSpeaks) {
  ScriptedApi api;
  auto options = quick();
  options.pulse = {seconds(2), milliseconds(0), milliseconds(5000)};
  Following kubernetes(api.url(), options);
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; std::chrono::steady_clock::now() - begin < seconds(3); ++i) {
    api.put(kPods, pod("p" + std::to_string(i)));
    ASSERT_TRUE(reader.untilHas(keyOf("p" + std::to_string(i))));
  }
  EXPECT_EQ(api.asked("/version"), 0);
}

TEST(ServerPulse, AsksAtOnceWhenSomebodySuspectsAndNotWhileTheServerSpeaks) {
  ScriptedApi api;
  test::Relay relay(portOf(api));
  KubernetesAccess access;
  access.url = relay.url();
  auto client = KubernetesClient::make(std::move(access));
  ASSERT_TRUE(client) << client.error().what;
  std::atomic<int> silences = 0;
  ServerPulse pulse(**client, {seconds(600), milliseconds(0), milliseconds(200)},
                    [&](const KubernetesError& /*error*/) { ++silences; });
  pulse.start();
  EXPECT_TRUE(testing::eventually([&] {
    pulse.suspect();
    return api.asked("/version") >= 2;
  }));
  EXPECT_EQ(silences, 0);
  relay.freeze();
  EXPECT_TRUE(testing::eventually([&] {
    pulse.suspect();
    return silences > 0;
  }));
}

TEST(KubernetesSource, AsksLessAndLessForAKindOfWhichNothingIsHeardAnyMore) {
  ScriptedApi api;
  auto options = quick();
  options.longestSilence = milliseconds(100);
  Following kubernetes(api.url(), options);
  ASSERT_TRUE(kubernetes.reader.untilSynced());
  const auto began = std::chrono::steady_clock::now();
  api.bookmark(kPods);
  EXPECT_TRUE(testing::eventually([&] { return api.asked("/pods?watch") >= 5; }));
  // The fifth is opened after 100, 200, 400 and 800 ms of silence.
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(1500));
  EXPECT_EQ(api.asked("/namespaces?watch"), 1) << "of which nothing was ever heard";
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

TEST(KubernetesSource, GoesOnWhereItWasAfterAStop) {
  ScriptedApi api;
  api.put(kPods, pod("a"));
  Following kubernetes(api.url());
  auto& reader = kubernetes.reader;
  ASSERT_TRUE(reader.untilSynced());
  kubernetes.source->stop();
  api.put(kPods, pod("b"));
  kubernetes.source->start();
  EXPECT_TRUE(reader.untilHas(keyOf("b")));
  EXPECT_EQ(api.asked("/pods?limit"), 1);
}

TEST(KubernetesSource, StopsWhileTheServerSaysNothing) {
  test::RawServer mute([](test::RawServer&, int socket) { test::RawServer::readRequest(socket); });
  Following kubernetes(mute.url());
  const auto began = std::chrono::steady_clock::now();
  kubernetes.source->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(2));
}

}  // namespace
}  // namespace margay::api
