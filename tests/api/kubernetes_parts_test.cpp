#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "api/kubernetes/field_filter.h"
#include "api/kubernetes/item_reader.h"
#include "api/kubernetes/known_objects.h"
#include "api/kubernetes/resource_decoder.h"
#include "api/kubernetes/watch_plan.h"

namespace margay::api {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Json = nlohmann::json;

const KubernetesResource& resourceNamed(std::string_view kindName, std::string_view version) {
  for (const auto& resource : kubernetesResources()) {
    if (resource.kindName == kindName && resource.groupVersions.front() == version) return resource;
  }
  std::abort();
}

struct Item {
  std::string type;
  Json object;
};

/// Feeds a text in pieces of `size` bytes.
struct Reading {
  Reading(const std::string& text, const FieldFilter& fields, std::size_t size) {
    ItemReader reader(fields, [this](std::string_view type, Json& item) {
      items.push_back({std::string(type), std::move(item)});
    });
    for (std::size_t at = 0; at < text.size() && ok; at += size)
      ok = reader.feed(std::string_view(text).substr(at, size)).has_value();
    page = reader.page();
    whole = reader.whole();
  }
  std::vector<Item> items;
  ListPage page;
  bool ok = true;
  bool whole = false;
};

const FieldFilter kEverything = FieldFilter::without({});

TEST(ItemReader, GivesTheItemsOfAListHoweverItIsCut) {
  const std::string text =
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"17","continue":"abc"},)"
      R"("items":[{"metadata":{"name":"a"},"n":[1,-2.5,true,null,"x"]},{"metadata":{"name":"b"}}]})";
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, text.size()}) {
    const Reading read(text, kEverything, size);
    ASSERT_TRUE(read.ok);
    EXPECT_TRUE(read.whole);
    EXPECT_EQ(read.page.resourceVersion, "17");
    EXPECT_EQ(read.page.next, "abc");
    ASSERT_EQ(read.items.size(), 2U);
    EXPECT_EQ(read.items[0].object,
              Json::parse(R"({"metadata":{"name":"a"},"n":[1,-2.5,true,null,"x"]})"));
    EXPECT_EQ(read.items[1].object["metadata"]["name"], "b");
  }
}

TEST(ItemReader, GivesTheEventsOfAWatch) {
  const Reading read(
      "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n"
      "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"old\"}}\n",
      FieldFilter::only({"metadata name"}), 5);
  ASSERT_EQ(read.items.size(), 2U);
  EXPECT_EQ(read.items[0].type, "ADDED");
  EXPECT_EQ(read.items[1].type, "ERROR");
  EXPECT_EQ(read.items[1].object["code"], 410);
  EXPECT_EQ(read.items[1].object["message"], "old");
}

TEST(ItemReader, TakesTheFieldsOfAnEventInAnyOrder) {
  const std::string text =
      "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n"
      "{\"object\":{\"metadata\":{\"name\":\"b\"}},\"type\":\"ADDED\"}\n"
      "{\"object\":{\"metadata\":{\"name\":\"c\"}}}\n";
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, text.size()}) {
    const Reading read(text, kEverything, size);
    ASSERT_EQ(read.items.size(), 3U);
    EXPECT_EQ(read.items[0].type, "DELETED");
    EXPECT_EQ(read.items[1].type, "ADDED");
    EXPECT_EQ(read.items[1].object["metadata"]["name"], "b");
    EXPECT_EQ(read.items[2].type, "") << "not that of the event before";
  }
}

TEST(ItemReader, LeavesOutWhatTheFilterDoesNotName) {
  const std::string item =
      R"({"items":[{"metadata":{"name":"a","managedFields":[{"f":{"g":"}]\"\\"}}],"labels":{"x":"y"}},)"
      R"("spec":{"containers":[{"env":[{"name":"E"}],"ports":[{"containerPort":80}]},{}],"n":[[]]},)"
      R"("status":"s"}],"metadata":{"resourceVersion":"1"}})";
  const auto only = FieldFilter::only({"metadata labels", "spec containers ports"});
  const auto without = FieldFilter::without({"metadata managedFields", "spec", "status"});
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, item.size()}) {
    const Reading few(item, only, size);
    ASSERT_EQ(few.items.size(), 1U);
    EXPECT_EQ(few.items[0].object, Json::parse(R"({"metadata":{"labels":{"x":"y"}},)"
                                               R"("spec":{"containers":[{"ports":)"
                                               R"([{"containerPort":80}]},{}]}})"));
    const Reading most(item, without, size);
    ASSERT_EQ(most.items.size(), 1U);
    EXPECT_EQ(most.items[0].object, Json::parse(R"({"metadata":{"name":"a","labels":{"x":"y"}}})"));
    EXPECT_TRUE(most.whole);
  }
}

TEST(ItemReader, SeesThatATextIsNotWhole) {
  const std::string text =
      R"({"items":[{"metadata":{"name":"a"}}],"metadata":{"resourceVersion":"1"}})";
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(Reading(text.substr(0, length), kEverything, 1000).whole) << length;
  EXPECT_FALSE(Reading("<html>", kEverything, 1000).ok);
}

RC_GTEST_PROP(ItemReader, TakesAnyBytesWithoutHarm, (const std::string& bytes)) {
  const auto filter = FieldFilter::only({"a b", "metadata name"});
  static_cast<void>(Reading("{\"items\":[{\"a\":" + bytes, filter, 3));
  static_cast<void>(Reading("{\"items\":[{\"a\":{\"c\":" + bytes, filter, 3));
}

Json calico(const std::string& kind, const std::string& name, const std::string& annotation = {}) {
  Json out = {{"apiVersion", "crd.projectcalico.org/v1"},
              {"kind", kind},
              {"metadata", {{"name", name}}},
              {"spec", {{"selector", "all()"}}}};
  if (!annotation.empty())
    out["metadata"]["annotations"]["projectcalico.org/metadata"] = annotation;
  return out;
}

std::string nameOf(Json object) {
  restoreCalicoMetadata(object);
  return object["metadata"]["name"];
}

TEST(CalicoMetadata, GivesAPolicyTheNameThatItsAnnotationKeeps) {
  EXPECT_EQ(nameOf(calico("GlobalNetworkPolicy", "default.a", R"({"name":"default.a"})")),
            "default.a");
  EXPECT_EQ(nameOf(calico("NetworkPolicy", "default.a", R"({"name":"b"})")), "b");
}

TEST(CalicoMetadata, StripsTheTierOffPoliciesOfTheDefaultTierAlone) {
  EXPECT_EQ(nameOf(calico("NetworkPolicy", "default.a")), "a");
  EXPECT_EQ(nameOf(calico("NetworkPolicy", "default.a", R"({"uid":"1"})")), "a");
  EXPECT_EQ(nameOf(calico("NetworkPolicy", "plain")), "plain");
  auto inTier = calico("GlobalNetworkPolicy", "default.a");
  inTier["spec"]["tier"] = "security";
  EXPECT_EQ(nameOf(inTier), "default.a");
  EXPECT_EQ(nameOf(calico("GlobalNetworkSet", "default.a")), "default.a");
}

TEST(CalicoMetadata, AddsTheLabelsThatTheAnnotationKeeps) {
  auto object = calico("GlobalNetworkSet", "s", R"({"labels":{"a":"kept","b":"2"}})");
  object["metadata"]["labels"] = {{"a", "own"}, {"c", "3"}};
  restoreCalicoMetadata(object);
  EXPECT_EQ(object["metadata"]["labels"], Json::parse(R"({"a":"kept","b":"2","c":"3"})"));
  EXPECT_FALSE(object["metadata"]["annotations"].contains("projectcalico.org/metadata"));
}

TEST(ResourceDecoder, KnowsTheKindOfItemsThatDoNotSayIt) {
  ResourceDecoder decoder;
  Json item = {{"metadata", {{"name", "blue"}}}};
  const auto decoded = decoder.decode(resourceNamed("Namespace", "v1"), item);
  EXPECT_TRUE(decoded.value);
  EXPECT_EQ(decoded.key.str(), "Profile kns.blue");
}

TEST(ResourceDecoder, ForgivesFieldsOfCalicoThatAreNotKnown) {
  ResourceDecoder decoder;
  auto item = calico("GlobalNetworkPolicy", "default.a");
  item["spec"]["newField"] = 1;
  const auto decoded =
      decoder.decode(resourceNamed("GlobalNetworkPolicy", "crd.projectcalico.org/v1"), item);
  EXPECT_TRUE(decoded.value);
  EXPECT_EQ(decoded.key.str(), "GlobalNetworkPolicy a");
}

/// KnownObjects by what it says of pods and namespaces.
class Objects {
 public:
  void pod(const std::string& name, const std::string& version, const std::string& node,
           const std::string& ip) {
    Json item = {{"metadata", {{"name", name}, {"namespace", "d"}}},
                 {"spec", {{"nodeName", node}}},
                 {"status", {{"podIP", ip}}}};
    const ServerObject object{"d", name, version};
    if (!known.listedBefore(object))
      known.put(object, decoder.decode(resourceNamed("Pod", "v1"), item), updates_);
  }
  /// A policy of Calico, as its custom resource has it.
  void policy(const std::string& name, double order) {
    auto item = calico("GlobalNetworkPolicy", name);
    item["spec"]["order"] = order;
    const auto& resource = resourceNamed("GlobalNetworkPolicy", "crd.projectcalico.org/v1");
    known.put({"", name, "1"}, decoder.decode(resource, item), updates_);
  }
  void removePolicy(const std::string& name) { known.remove("", name, updates_); }
  /// The order of the policy of the last update; none if that was a removal.
  std::optional<double> order() {
    const auto last = updates_.empty() ? Update{} : updates_.back();
    updates_.clear();
    if (!last.value) return std::nullopt;
    return std::get<Shared<Policy>>(*last.value)->order;
  }
  void remove(const std::string& name) { known.remove("d", name, updates_); }
  void endList() { known.endList(updates_); }
  std::vector<std::string> said() {
    std::vector<std::string> out;
    for (const auto& update : updates_) out.push_back((update.value ? "+" : "-") + update.key.name);
    updates_.clear();
    return out;
  }
  KnownObjects known;

 private:
  ResourceDecoder decoder;
  std::vector<Update> updates_;
};

TEST(KnownObjects, SaysWhatAListAddsChangesAndLacks) {
  Objects objects;
  objects.known.beginList();
  objects.pod("a", "1", "n", "10.0.0.1");
  objects.pod("b", "2", "n", "10.0.0.2");
  objects.endList();
  EXPECT_THAT(objects.said(), ElementsAre("+n-k8s-a-eth0", "+n-k8s-b-eth0"));
  objects.known.beginList();
  objects.pod("b", "3", "n", "10.0.0.9");
  objects.endList();
  EXPECT_THAT(objects.said(), ElementsAre("+n-k8s-b-eth0", "-n-k8s-a-eth0"));
  objects.known.beginList();
  objects.pod("b", "3", "n", "10.0.0.9");
  objects.endList();
  EXPECT_THAT(objects.said(), IsEmpty());
  EXPECT_EQ(objects.known.size(), 1U);
}

TEST(KnownObjects, SaysNothingOfANewVersionWithTheSameValue) {
  Objects objects;
  objects.pod("a", "1", "n", "10.0.0.1");
  objects.said();
  objects.pod("a", "2", "n", "10.0.0.1");
  EXPECT_THAT(objects.said(), IsEmpty());
}

TEST(KnownObjects, RemovesTheOldEndpointOfAPodThatIsNowOnAnotherNode) {
  Objects objects;
  objects.pod("web-0", "1", "n1", "10.0.0.1");
  objects.said();
  objects.pod("web-0", "5", "n2", "10.0.0.1");
  EXPECT_THAT(objects.said(), ElementsAre("-n1-k8s-web--0-eth0", "+n2-k8s-web--0-eth0"));
  objects.remove("web-0");
  EXPECT_THAT(objects.said(), ElementsAre("-n2-k8s-web--0-eth0"));
  EXPECT_EQ(objects.known.size(), 0U);
}

TEST(KnownObjects, DropsThePodThatHasLostItsAddressAndNamesTheOneThatIsWrong) {
  Objects objects;
  objects.pod("a", "1", "n", "10.0.0.1");
  objects.pod("a", "2", "n", "");
  EXPECT_THAT(objects.said(), ElementsAre("+n-k8s-a-eth0", "-n-k8s-a-eth0"));
  objects.pod("a", "3", "n", "10.0.0");
  EXPECT_EQ(objects.known.invalid().size(), 1U);
  objects.remove("a");
  EXPECT_THAT(objects.known.invalid(), IsEmpty());
  EXPECT_THAT(objects.said(), IsEmpty());
}

TEST(KnownObjects, CountsTheSameOneOfTwoPoliciesOfOneNameInWhicheverOrderTheyCome) {
  for (const bool longFirst : {true, false}) {
    Objects objects;
    objects.policy(longFirst ? "default.a" : "a", longFirst ? 1 : 2);
    objects.said();
    objects.policy(longFirst ? "a" : "default.a", longFirst ? 2 : 1);
    EXPECT_EQ(objects.said().size(), longFirst ? 0U : 1U);
    const auto invalid = objects.known.invalid();
    ASSERT_EQ(invalid.size(), 1U);
    EXPECT_EQ(invalid[0].name, "a");
    EXPECT_EQ(invalid[0].reason,
              "means 'a', and so does default.a, which counts: remove one of them");
    objects.policy("a", 3);
    EXPECT_THAT(objects.said(), IsEmpty()) << "it does not count";
    const auto version = objects.known.notesVersion();
    objects.removePolicy("default.a");
    EXPECT_EQ(objects.order(), 3);
    EXPECT_NE(objects.known.notesVersion(), version);
    EXPECT_THAT(objects.known.invalid(), IsEmpty());
    objects.removePolicy("a");
    EXPECT_EQ(objects.said(), std::vector<std::string>{"-a"});
  }
}

TEST(KnownObjects, LosesBothOfTwoPoliciesOfOneNameWithTheListThatHasNeither) {
  Objects objects;
  objects.known.beginList();
  for (const char* name : {"default.a", "a", "default.b"}) objects.policy(name, 1);
  objects.endList();
  objects.said();
  objects.known.beginList();
  objects.policy("default.b", 1);
  objects.endList();
  EXPECT_EQ(objects.order(), std::nullopt);
  EXPECT_THAT(objects.known.invalid(), IsEmpty());
  EXPECT_EQ(objects.known.size(), 1U);
}

RC_GTEST_PROP(KnownObjects, HasWhatTheLastListHad, ()) {
  Objects objects;
  std::set<std::string> inStore;
  for (int round = 0; round < 4; ++round) {
    const auto names = *rc::gen::container<std::set<int>>(rc::gen::inRange(0, 300));
    objects.known.beginList();
    for (const int name : names)
      objects.pod("p" + std::to_string(name), std::to_string(round), "n",
                  "10.0." + std::to_string(name / 256) + "." + std::to_string(name % 256));
    objects.endList();
    for (const auto& said : objects.said()) {
      if (said[0] == '+')
        inStore.insert(said.substr(1));
      else
        RC_ASSERT(inStore.erase(said.substr(1)) == 1U);
    }
    RC_ASSERT(inStore.size() == names.size());
    RC_ASSERT(objects.known.size() == names.size());
  }
}

KubernetesError of(KubernetesError::Why why, milliseconds wait = {}) {
  return {.why = why, .what = "x", .wait = wait};
}
using Why = KubernetesError::Why;
using What = WatchPlan::What;

WatchPlan watching(std::uint32_t seed = 1) {
  WatchPlan plan({}, seed);
  plan.listed();
  plan.heard();
  return plan;
}

TEST(WatchPlan, ListsAndThenWatches) {
  WatchPlan plan({}, 1);
  EXPECT_EQ(plan.next().what, What::List);
  EXPECT_EQ(plan.next().wait.count(), 0);
  plan.listed();
  EXPECT_EQ(plan.next().what, What::Watch);
  EXPECT_EQ(plan.next().wait.count(), 0);
}

TEST(WatchPlan, GoesOnAtOnceWhenAWatchEndsInTime) {
  auto plan = watching();
  plan.watchEnded(std::chrono::minutes(7));
  EXPECT_EQ(plan.next().what, What::Watch);
  EXPECT_EQ(plan.next().wait.count(), 0);
}

TEST(WatchPlan, DoesNotSpinOnWatchesThatEndAtOnce) {
  auto plan = watching();
  plan.watchEnded(milliseconds(1));
  EXPECT_GE(plan.next().wait, milliseconds(250));
}

TEST(WatchPlan, ListsAgainWhenTheVersionIsTooOld) {
  auto plan = watching();
  plan.failed(of(Why::Expired));
  EXPECT_EQ(plan.next().what, What::List);
  EXPECT_FALSE(plan.isAway());
}

TEST(WatchPlan, BacksOffFurtherEachTimeUpToABound) {
  auto plan = watching();
  milliseconds longest{0};
  for (int i = 0; i < 20; ++i) {
    plan.failed(of(Why::Away));
    const auto bound = std::min(milliseconds(500) * (1 << std::min(i, 10)), milliseconds(15'000));
    EXPECT_GE(plan.next().wait, bound / 2);
    EXPECT_LE(plan.next().wait, bound);
    longest = std::max(longest, plan.next().wait);
    plan.waited();
  }
  EXPECT_GE(longest, milliseconds(7'500));
  plan.heard();
  plan.failed(of(Why::Away));
  EXPECT_LE(plan.next().wait, milliseconds(500));
}

TEST(WatchPlan, OfAThousandAgentsComesBackAtAThousandTimes) {
  std::map<milliseconds::rep, int> perTenth;
  for (std::uint32_t seed = 1; seed <= 1000; ++seed) {
    auto plan = watching(seed * 7919);
    for (int i = 0; i < 4; ++i) plan.failed(of(Why::Away));
    ++perTenth[plan.next().wait.count() / 100];
  }
  // By chance over two seconds: 50 of them in each tenth of a second.
  for (const auto& [tenth, count] : perTenth) EXPECT_LT(count, 100) << tenth;
  EXPECT_GE(perTenth.size(), 19U);
}

TEST(WatchPlan, DoesNotAskBeforeTheServerWantsToBeAsked) {
  auto plan = watching();
  plan.failed(of(Why::Away, milliseconds(20'000)));
  EXPECT_GE(plan.next().wait, milliseconds(20'000));
  EXPECT_LE(plan.next().wait, milliseconds(25'000));
}

TEST(WatchPlan, IsAwayAtTheSecondFailureOrWhenNothingIsKnownYet) {
  auto plan = watching();
  plan.failed(of(Why::Away));
  EXPECT_FALSE(plan.isAway());
  plan.failed(of(Why::Away));
  EXPECT_TRUE(plan.isAway());
  plan.heard();
  EXPECT_FALSE(plan.isAway());
  plan.failed(of(Why::Refused));
  EXPECT_FALSE(plan.isAway()) << "a server that has just started knows no roles yet";
  plan.failed(of(Why::Refused));
  EXPECT_TRUE(plan.isAway());
  WatchPlan fresh({}, 1);
  fresh.failed(of(Why::Away));
  EXPECT_TRUE(fresh.isAway());
}

TEST(WatchPlan, IsAwayWhenWatchesEndAtOnceAgainAndAgain) {
  auto plan = watching();
  for (int i = 0; i < 3; ++i) plan.watchEnded(milliseconds(1));
  EXPECT_FALSE(plan.isAway());
  plan.watchEnded(milliseconds(1));
  EXPECT_TRUE(plan.isAway());
  plan.watchEnded(std::chrono::minutes(7));
  EXPECT_FALSE(plan.isAway());
}

TEST(WatchPlan, AsksAgainForAKindThatIsNotThere) {
  WatchPlan plan({}, 1);
  plan.listed();
  plan.failed(of(Why::Absent));
  EXPECT_EQ(plan.next().what, What::List);
  EXPECT_GE(plan.next().wait, milliseconds(20'000));
  EXPECT_LE(plan.next().wait, milliseconds(30'000));
  plan.listAgain();
  EXPECT_EQ(plan.next().wait.count(), 0);
}

}  // namespace
}  // namespace margay::api
