#include "controllers/node/notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace margay::controllers {
namespace {

using api::Kind;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Notices : public ::testing::Test {
 protected:
  Objects objects;
  std::vector<WorkloadInterface> interfaces;
  dataplane::LinkMap links;

  void pod(const std::string& name, std::vector<std::string> profiles) {
    api::WorkloadEndpoint endpoint;
    endpoint.ns = "default";
    endpoint.name = "one-k8s-" + name + "-eth0";
    endpoint.profiles = share(std::move(profiles));
    auto local = std::make_shared<LocalEndpoint>();
    local->endpoint = share(std::move(endpoint));
    interfaces.push_back({"cali" + name, std::move(local), {}});
    links["cali" + name] = {.name = "cali" + name};
  }
  void profile(const std::string& name) {
    objects[{Kind::Profile, {}, name}] = share(api::Profile{.name = name});
  }
  void policy(const std::string& name, const std::string& tier) {
    api::Policy made;
    made.name = name;
    made.tier = tier;
    objects[{Kind::GlobalNetworkPolicy, {}, name}] = share(std::move(made));
  }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const auto& notice : notices(objects, interfaces, links)) out.push_back(notice.str());
    return out;
  }
};

TEST_F(Notices, SayNothingWhileAllThatIsReferredToIsThere) {
  profile("kns.default");
  pod("a", {"kns.default", "ksa.default.default", "projectcalico-default-allow"});
  policy("p", "default");
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(Notices, NameThePolicyTheFieldAndTheTierThatDoesNotExist) {
  policy("deny-all", "security");
  EXPECT_THAT(texts(), ElementsAre(AllOf(StartsWith("GlobalNetworkPolicy deny-all: spec.tier: "),
                                         HasSubstr("there is no Tier security"),
                                         HasSubstr("add the Tier"))));
  objects[{Kind::Tier, {}, "security"}] = share(api::Tier{"security", 1});
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(Notices, NameAMissingProfileOnceWithThoseThatReferToIt) {
  pod("a", {"web"});
  pod("b", {"web"});
  pod("c", {"web"});
  EXPECT_THAT(texts(), ElementsAre(AllOf(StartsWith("Profile web: does not exist"),
                                         HasSubstr("workloads default/a and 2 more"))));
  profile("web");
  EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(Notices, NameTheNamespaceThatWouldGiveTheMissingProfile) {
  pod("a", {"kns.default", "ksa.default.default"});
  EXPECT_THAT(texts(), ElementsAre(AllOf(StartsWith("Namespace default: does not exist"),
                                         HasSubstr("workload default/a"))));
}

TEST_F(Notices, NameTheInterfaceThatAWorkloadShouldHave) {
  pod("a", {});
  links.clear();
  EXPECT_THAT(texts(),
              ElementsAre(AllOf(
                  StartsWith("WorkloadEndpoint default/one-k8s-a-eth0: there is no interface"),
                  HasSubstr("no interface calia"))));
}

}  // namespace
}  // namespace margay::controllers
