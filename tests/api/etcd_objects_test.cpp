#include "api/etcd/etcd_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/api/etcd_server.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

class EtcdObjectsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = test::EtcdServer::alone();
    if (!server_) GTEST_SKIP() << "/usr/bin/etcd is not there (Debian's etcd-server)";
    client_ = std::make_shared<EtcdClient>(test::quickOptions({server_->url()}));
    objects_ = std::make_unique<EtcdObjects>(client_);
  }

  std::unique_ptr<test::EtcdServer> server_;
  std::shared_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdObjects> objects_;
};

const StoredKind& kPolicy = *storedKindNamed("NetworkPolicy");

Json policy(const std::string& name, int order = 1) {
  return {{"apiVersion", "projectcalico.org/v3"},
          {"kind", "NetworkPolicy"},
          {"metadata", {{"name", name}, {"namespace", "shop"}}},
          {"spec", {{"order", order}, {"ingress", Json::array({{{"action", "Allow"}}})}}}};
}

TEST_F(EtcdObjectsTest, StoresAPolicyAsCalicoDoes) {
  ASSERT_TRUE(objects_->create(policy("allow-fe")));
  const auto kv =
      client_->get("/calico/resources/v3/projectcalico.org/networkpolicies/shop/default.allow-fe");
  ASSERT_TRUE(kv && *kv);
  const auto stored = Json::parse((*kv)->value);
  EXPECT_EQ(stored["apiVersion"], "projectcalico.org/v3");
  EXPECT_EQ(stored["kind"], "NetworkPolicy");
  EXPECT_EQ(stored["metadata"]["name"], "default.allow-fe");
  EXPECT_EQ(stored["metadata"]["namespace"], "shop");
  EXPECT_EQ(stored["metadata"]["uid"].get<std::string>().size(), 36U);
  EXPECT_THAT(stored["metadata"]["creationTimestamp"].get<std::string>(), HasSubstr("T"));
  EXPECT_FALSE(stored["metadata"].contains("resourceVersion"));
  EXPECT_EQ(stored["spec"]["types"], Json({"Ingress"}));
}

TEST_F(EtcdObjectsTest, CreatesOnceAndReplacesOnlyWhatExists) {
  ASSERT_TRUE(objects_->create(policy("a")));
  EXPECT_THAT(objects_->create(policy("a")).error().what, HasSubstr("already exists"));
  EXPECT_EQ(objects_->replace(policy("b")).error().code, Errc::NotFound);
  EXPECT_TRUE(objects_->apply(policy("b")));
  EXPECT_TRUE(objects_->replace(policy("b", 2)));
}

TEST_F(EtcdObjectsTest, AReplacedObjectKeepsItsUidAndWantsTheNewestVersion) {
  const auto first = objects_->create(policy("a"));
  ASSERT_TRUE(first);
  auto changed = *first;
  changed["spec"]["order"] = 7;
  const auto second = objects_->replace(changed);
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_EQ((*second)["metadata"]["uid"], (*first)["metadata"]["uid"]);
  EXPECT_EQ(objects_->replace(changed).error().code, Errc::Stale);
  const auto got = objects_->get(kPolicy, "shop", "a");
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, *second);
}

TEST_F(EtcdObjectsTest, ListsANamespaceOrAll) {
  ASSERT_TRUE(objects_->create(policy("a")));
  auto other = policy("a");
  other["metadata"]["namespace"] = "shop2";
  ASSERT_TRUE(objects_->create(other));
  EXPECT_EQ(objects_->list(kPolicy, "shop")->size(), 1U);
  EXPECT_EQ(objects_->list(kPolicy)->size(), 2U);
}

TEST_F(EtcdObjectsTest, SaysEverythingThatIsWrongWithAnObject) {
  auto bad = policy("a");
  bad["spec"]["ordre"] = 1;
  bad["spec"]["ingress"][0]["action"] = "Maybe";
  const auto created = objects_->create(bad);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().what, HasSubstr("ordre"));
  EXPECT_THAT(created.error().what, HasSubstr("spec.ingress[0].action"));
}

TEST_F(EtcdObjectsTest, DeletesAndSaysWhatIsNotThere) {
  ASSERT_TRUE(objects_->create(policy("a")));
  EXPECT_TRUE(objects_->remove(kPolicy, "shop", "a"));
  EXPECT_EQ(objects_->remove(kPolicy, "shop", "a").error().code, Errc::NotFound);
  EXPECT_EQ(objects_->get(kPolicy, "shop", "a").error().code, Errc::NotFound);
}

}  // namespace
}  // namespace margay::api
