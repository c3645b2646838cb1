#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "api/codec/base64.h"
#include "api/etcd/answer_reader.h"
#include "api/etcd/etcd_options.h"
#include "api/etcd/etcd_request.h"
#include "api/etcd/object_table.h"
#include "api/etcd/stored_object.h"

namespace margay::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Json = nlohmann::json;

TEST(Base64, IsThatOfTheStandard) {
  EXPECT_EQ(base64Encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64Encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64Encode("foob"), "Zm9vYg==");
  std::string out = "old";
  EXPECT_FALSE(base64Decode("Zm9v!mFy", out));
  EXPECT_FALSE(base64Decode("Z", out));
}

RC_GTEST_PROP(Base64, GivesBackWhatWasEncoded, (const std::string& bytes)) {
  std::string out;
  RC_ASSERT(base64Decode(base64Encode(bytes), out));
  RC_ASSERT(out == bytes);
}

/// Builds a tree of what it is told, to compare with another parser's.
class Recorder final : public JsonEvents {
 public:
  void key(std::string_view name) override { said.push_back("key " + std::string(name)); }
  void scalar(std::string_view text) override { said.push_back("is " + std::string(text)); }
  void begin(bool isArray) override { said.emplace_back(isArray ? "[" : "{"); }
  void end() override { said.emplace_back("end"); }
  std::vector<std::string> said;
};

void tell(const Json& value, std::vector<std::string>& said) {
  if (!value.is_structured()) {
    said.push_back("is " + (value.is_string() ? value.get<std::string>() : value.dump()));
    return;
  }
  said.emplace_back(value.is_array() ? "[" : "{");
  for (const auto& [key, entry] : value.items()) {
    if (value.is_object()) said.push_back("key " + key);
    tell(entry, said);
  }
  said.emplace_back("end");
}

Json anyJson(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 6 : 4)) {
    case 0:
      return *rc::gen::arbitrary<int>();
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return nullptr;
    case 3:
      return *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127));
    case 4: {
      Json out = Json::array();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) out.push_back(anyJson(depth - 1));
      return out;
    }
    default: {
      Json out = Json::object();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
        out["k" + std::to_string(i)] = anyJson(depth - 1);
      return out;
    }
  }
}

RC_GTEST_PROP(JsonPush, SaysTheSameHoweverTheTextIsCut, ()) {
  const Json value = Json::array({anyJson(4)});
  const std::string text = value.dump(*rc::gen::element(-1, 2), ' ', *rc::gen::arbitrary<bool>());
  Recorder recorder;
  JsonPush push(recorder);
  for (std::size_t at = 0; at < text.size();) {
    const auto count = *rc::gen::inRange<std::size_t>(1, 12);
    RC_ASSERT(push.feed(std::string_view(text).substr(at, count)));
    at += count;
  }
  std::vector<std::string> expected;
  tell(value, expected);
  RC_ASSERT(recorder.said == expected);
}

RC_GTEST_PROP(JsonPush, TakesAnyBytesWithoutHarm, (const std::string& bytes)) {
  Recorder recorder;
  JsonPush push(recorder);
  static_cast<void>(push.feed("{\"a\":[" + bytes));
}

TEST(JsonPush, JoinsSurrogates) {
  Recorder recorder;
  JsonPush push(recorder);
  ASSERT_TRUE(push.feed("\"\\ud83d\\ude00\\u00e9\""));
  EXPECT_THAT(recorder.said, ElementsAre("is \xF0\x9F\x98\x80\xC3\xA9"));
}

TEST(JsonPush, RefusesToNestWithoutEnd) {
  Recorder recorder;
  JsonPush push(recorder);
  EXPECT_FALSE(push.feed(std::string(1000, '[')));
}

struct Read {
  std::vector<std::string> events;
  std::vector<EtcdAnswer> answers;
  bool ok = true;
};
Read readAnswer(const std::string& text) {
  Read out;
  AnswerReader reader(
      [&](EtcdEvent& event) {
        out.events.push_back((event.deleted ? "-" : "+") + event.kv.key + "=" + event.kv.value +
                             "@" + std::to_string(event.kv.modRevision));
      },
      [&](EtcdAnswer& answer) { out.answers.push_back(answer); });
  for (const char c : text) out.ok = out.ok && reader.feed(std::string_view(&c, 1));
  return out;
}

TEST(AnswerReader, ReadsARange) {
  const auto read = readAnswer(
      R"({"header":{"cluster_id":"14841639068965178418","member_id":"1","revision":"7"},)"
      R"("kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"MQ=="},)"
      R"({"key":"Yg==","create_revision":"4","mod_revision":"4","version":"1"}],"more":true,"count":"9"})");
  ASSERT_TRUE(read.ok);
  EXPECT_THAT(read.events, ElementsAre("+a=1@3", "+b=@4"));
  ASSERT_THAT(read.answers, SizeIs(1));
  EXPECT_EQ(read.answers[0].revision, 7);
  EXPECT_EQ(read.answers[0].clusterId, 14841639068965178418U);
  EXPECT_TRUE(read.answers[0].more);
}

TEST(AnswerReader, ReadsAWatchAnswerByAnswer) {
  const auto read = readAnswer(
      "{\"result\":{\"header\":{\"revision\":\"9\"},\"created\":true}}\n"
      "{\"result\":{\"header\":{\"revision\":\"10\"},\"events\":[{\"type\":\"DELETE\",\"kv\":"
      "{\"key\":\"YQ==\",\"mod_revision\":\"10\"}},{\"kv\":{\"key\":\"Yg==\",\"mod_revision\":"
      "\"10\",\"value\":\"MQ==\"}}]}}\n"
      "{\"result\":{\"header\":{\"revision\":\"10\"},\"canceled\":true,\"compact_revision\":\"5\"}"
      "}");
  ASSERT_TRUE(read.ok);
  EXPECT_THAT(read.events, ElementsAre("-a=@10", "+b=1@10"));
  ASSERT_THAT(read.answers, SizeIs(3));
  EXPECT_TRUE(read.answers[0].created);
  EXPECT_EQ(read.answers[2].compactRevision, 5);
}

TEST(AnswerReader, ReadsAnErrorOfACallAndOfAStream) {
  const auto call = readAnswer(R"({"error":"no","message":"no","code":16})");
  ASSERT_THAT(call.answers, SizeIs(1));
  EXPECT_EQ(call.answers[0].grpcCode, 16);
  EXPECT_EQ(call.answers[0].error, "no");
  const auto stream = readAnswer(R"({"error":{"grpc_code":14,"http_code":503,"message":"away"}})");
  ASSERT_THAT(stream.answers, SizeIs(1));
  EXPECT_EQ(stream.answers[0].grpcCode, 14);
  EXPECT_EQ(stream.answers[0].error, "away");
}

TEST(EtcdRequest, EndsAPrefixBehindItsLastKey) {
  EXPECT_EQ(endOfPrefix("/calico/"), "/calico0");
  EXPECT_EQ(endOfPrefix("a\xFF"), "b");
}

TEST(EtcdOptions, AreThoseOfCalico) {
  const auto options = etcdOptions({{"ETCD_ENDPOINTS", "https://a:2379, https://b:2379/"},
                                    {"ETCD_CA_CERT_FILE", "/ca"},
                                    {"ETCD_CERT_FILE", "/cert"},
                                    {"ETCD_KEY_FILE", "/key"},
                                    {"FELIX_ETCDCAFILE", "/felix-ca"}});
  ASSERT_TRUE(options);
  EXPECT_THAT(options->endpoints, ElementsAre("https://a:2379", "https://b:2379"));
  EXPECT_EQ(options->tls.ca.file, "/felix-ca");
  EXPECT_EQ(options->tls.certificate.file, "/cert");
  EXPECT_EQ(options->tls.key.file, "/key");
}

TEST(EtcdOptions, NameTheVariableThatIsWrong) {
  for (const char* none : {"10.0.0.1:2379", "https://", "http://a b:2379", "http://:2379"})
    EXPECT_THAT(etcdOptions({{"ETCD_ENDPOINTS", none}}).error().what, HasSubstr("ETCD_ENDPOINTS"));
  EXPECT_THAT(etcdOptions({{"ETCD_KEY_FILE", "/key"}}).error().what, HasSubstr("ETCD_CERT_FILE"));
  EXPECT_THAT(etcdOptions({{"ETCD_USERNAME", "me"}}).error().what, HasSubstr("ETCD_PASSWORD"));
}

TEST(StoredObject, KeysAreThoseOfCalico) {
  const std::string prefix = "/calico/resources/v3/projectcalico.org/";
  EXPECT_EQ(storedKeyOf(*storedKindNamed("NetworkPolicy"), "shop", "allow-fe"),
            prefix + "networkpolicies/shop/default.allow-fe");
  EXPECT_EQ(storedKeyOf(*storedKindNamed("NetworkPolicy"), "shop", "knp.default.allow-fe"),
            prefix + "networkpolicies/shop/knp.default.allow-fe");
  EXPECT_EQ(storedKeyOf(*storedKindNamed("Profile"), "", "kns.shop"), prefix + "profiles/kns.shop");
  EXPECT_EQ(storedKeyOf(*storedKindNamed("GlobalNetworkPolicy"), "", "security.allow"),
            prefix + "globalnetworkpolicies/security.allow");
}

TEST(StoredObject, PoliciesAreFoundUnderTheNamesOfEveryCalico) {
  const std::string prefix = "/calico/resources/v3/projectcalico.org/networkpolicies/shop/";
  const auto& kind = *storedKindNamed("NetworkPolicy");
  EXPECT_THAT(possibleKeysOf(kind, "shop", "allow"),
              ElementsAre(prefix + "default.allow", prefix + "allow"));
  EXPECT_THAT(possibleKeysOf(kind, "shop", "tier.allow"),
              ElementsAre(prefix + "tier.allow", prefix + "default.tier.allow"));
  EXPECT_THAT(possibleKeysOf(*storedKindNamed("Profile"), "", "p"), SizeIs(1));
}

TEST(StoredObject, EveryKeyReadsBackAsItsKindAndName) {
  for (const auto& kind : storedKinds()) {
    const std::string key = storedKeyOf(kind, "ns", "some-name");
    const auto parsed = parseStoredKey(key);
    ASSERT_TRUE(parsed) << key;
    EXPECT_EQ(parsed->kind, &kind);
    EXPECT_EQ(parsed->ns, kind.namespaced ? "ns" : "");
    EXPECT_EQ(nameForUsers(kind, parsed->name), "some-name");
  }
}

TEST(StoredObject, OtherKeysAreNone) {
  for (const char* key : {"", "/calico/ipam/v2/config", "/calico/resources/v3/projectcalico.org/",
                          "/calico/resources/v3/projectcalico.org/profiles",
                          "/calico/resources/v3/projectcalico.org/profiles/",
                          "/calico/resources/v3/projectcalico.org/networkpolicies/a",
                          "/calico/resources/v3/projectcalico.org/profiles/a/b",
                          "/calico/resources/v3/projectcalico.org/unheardof/a"})
    EXPECT_FALSE(parseStoredKey(key)) << key;
}

EtcdKeyValue stored(const std::string& kindName, const std::string& ns, const std::string& name,
                    std::int64_t revision, const std::string& spec = "{}") {
  const auto& kind = *storedKindNamed(kindName);
  std::string metadata = R"({"name":")" + nameInStore(kind, name) + R"(","uid":"u")";
  if (kind.namespaced) metadata += R"(,"namespace":")" + ns + R"(")";
  return {.key = storedKeyOf(kind, ns, name),
          .value = R"({"kind":")" + kindName +
                   R"(","apiVersion":"projectcalico.org/v3","metadata":)" + metadata +
                   R"(},"spec":)" + spec + "}",
          .modRevision = revision};
}

TEST(StoredObject, DecodesAPolicyUnderTheNameThatUsersKnow) {
  const auto kv = stored("NetworkPolicy", "shop", "allow-fe", 3, R"({"types":["Ingress"]})");
  const auto decoded = decodeStored(*parseStoredKey(kv.key), kv.value);
  EXPECT_THAT(decoded.errors, IsEmpty());
  ASSERT_TRUE(decoded.value);
  EXPECT_EQ(decoded.key.str(), "NetworkPolicy shop/allow-fe");
}

TEST(StoredObject, TakesFieldsThatItDoesNotKnow) {
  const auto kv = stored("Profile", "", "p", 3, R"({"fieldOfNextYear":1})");
  EXPECT_TRUE(decodeStored(*parseStoredKey(kv.key), kv.value).value);
}

TEST(StoredObject, NamesWhatStandsAtAnothersPlace) {
  const auto profile = stored("Profile", "", "p", 3);
  const auto key = storedKeyOf(*storedKindNamed("Tier"), "", "p");
  const auto decoded = decodeStored(*parseStoredKey(key), profile.value);
  EXPECT_FALSE(decoded.value);
  ASSERT_FALSE(decoded.errors.empty());
  EXPECT_EQ(decoded.errors.front().field, "kind");
}

TEST(ObjectTable, TreatsWhatIsInvalidAsGoneAndNamesIt) {
  ObjectTable table;
  std::vector<Update> updates;
  auto kv = stored("Profile", "", "p", 3);
  table.apply({false, kv}, updates);
  ASSERT_THAT(updates, SizeIs(1));
  EXPECT_TRUE(updates[0].value);
  kv.value = "}{";
  kv.modRevision = 4;
  table.apply({false, kv}, updates);
  ASSERT_THAT(updates, SizeIs(2));
  EXPECT_FALSE(updates[1].value);
  EXPECT_EQ(updates[0].key, updates[1].key);
  ASSERT_THAT(table.invalid(), SizeIs(1));
  EXPECT_EQ(table.invalid()[0].name, "p");
  table.apply({true, {.key = kv.key, .value = {}, .modRevision = 5}}, updates);
  EXPECT_THAT(updates, SizeIs(2));
  EXPECT_THAT(table.invalid(), IsEmpty());
}

TEST(ObjectTable, ASecondListSaysOnlyWhatDiffers) {
  ObjectTable table;
  std::vector<Update> updates;
  table.beginList();
  for (const char* name : {"a", "b", "c"}) table.listed(stored("Profile", "", name, 3), updates);
  table.endList(updates);
  EXPECT_THAT(updates, SizeIs(3));
  updates.clear();
  table.beginList();
  table.listed(stored("Profile", "", "a", 3), updates);
  table.listed(stored("Profile", "", "b", 2), updates);  // a backup was restored
  table.endList(updates);
  ASSERT_THAT(updates, SizeIs(2));
  EXPECT_EQ(updates[0].key.name, "b");
  EXPECT_EQ(updates[1].key.name, "c");
  EXPECT_FALSE(updates[1].value);
}

TEST(ObjectTable, AListOfOtherDataCountsWithEqualRevisionsToo) {
  ObjectTable table;
  std::vector<Update> updates;
  table.beginList();
  table.listed(stored("Profile", "", "a", 3), updates);
  table.endList(updates);
  table.distrust();
  updates.clear();
  table.beginList();
  table.listed(stored("Profile", "", "a", 3), updates);
  table.endList(updates);
  EXPECT_THAT(updates, SizeIs(1));
}

TEST(ObjectTable, OldNewsSaysNothing) {
  ObjectTable table;
  std::vector<Update> updates;
  table.apply({false, stored("Profile", "", "a", 5)}, updates);
  updates.clear();
  table.apply({false, stored("Profile", "", "a", 4)}, updates);
  table.apply({true, {.key = stored("Profile", "", "a", 4).key, .value = {}, .modRevision = 4}},
              updates);
  EXPECT_THAT(updates, IsEmpty());
}

TEST(ObjectTable, OnlyEndpointsOfItsOwnNodeAreWhole) {
  ObjectTable table("n1");
  std::vector<Update> updates;
  for (const std::string node : {"n1", "n2"}) {
    const std::string spec =
        R"({"orchestrator":"k8s","node":")" + node +
        R"(","pod":"web","endpoint":"eth0","ipNetworks":["10.0.0.1/32"],"interfaceName":"cali1",)"
        R"("mac":"02:00:00:00:00:01"})";
    table.apply({false, stored("WorkloadEndpoint", "shop", node + "-k8s-web-eth0", 1, spec)},
                updates);
  }
  ASSERT_THAT(updates, SizeIs(2));
  const auto endpoint = [&](std::size_t i) {
    return std::get<Shared<WorkloadEndpoint>>(*updates[i].value);
  };
  EXPECT_EQ(endpoint(0)->details().interfaceName, "cali1");
  EXPECT_TRUE(endpoint(0)->details().mac);
  EXPECT_EQ(endpoint(1)->details(), EndpointDetails());
  EXPECT_EQ(endpoint(1)->workload(), "web");
  updates.clear();
  table.beginList();
  table.endList(updates);
  ASSERT_THAT(updates, SizeIs(2));
  for (const auto& update : updates)
    EXPECT_EQ(update.key.str().substr(0, 22), "WorkloadEndpoint shop/");
}

}  // namespace
}  // namespace margay::api
