#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cmd/agent/inspect_json.h"

namespace margay::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::set<std::string> fieldsOf(const Json& object) {
  std::set<std::string> out;
  for (const auto& [key, value] : object.items()) out.insert(key);
  return out;
}

TEST(StatusJson, HasTheFieldsThatScriptsRead) {
  StatusView view;
  view.sources["file"] = {.connected = true};
  view.sources["file"].invalid.push_back({.kindName = "Pod", .name = "p", .reason = "no"});
  view.tables.push_back({.name = "filter (IPv4)"});
  const auto status = statusJson(view);
  EXPECT_THAT(fieldsOf(status),
              UnorderedElementsAre("node", "version", "ready", "notReadyBecause", "backend",
                                   "sources", "tables", "endpoints", "policies", "droppingChains",
                                   "invalidObjects", "warnings"));
  EXPECT_THAT(fieldsOf(status["sources"][0]),
              UnorderedElementsAre("name", "connected", "synced", "error", "resyncs"));
  EXPECT_THAT(fieldsOf(status["tables"][0]),
              UnorderedElementsAre("name", "unit", "desired", "observed", "pending", "failing",
                                   "drift", "lastRepair", "lastError"));
  EXPECT_THAT(
      fieldsOf(status["invalidObjects"][0]),
      UnorderedElementsAre("kind", "namespace", "name", "file", "document", "field", "reason"));
}

TEST(StatusJson, SaysWhatEachTableCounts) {
  StatusView view;
  for (const auto* name : {"raw (IPv6)", "ipset", "nft_set", "route", "nf_tables transaction"})
    view.tables.push_back({.name = name});
  const auto status = statusJson(view);
  std::vector<std::string> units;
  for (const auto& table : status["tables"]) units.push_back(table["unit"]);
  EXPECT_THAT(units, ElementsAre("chains", "members", "elements", "routes", "refused parts"));
}

class Remarks : public ::testing::Test {
 protected:
  const api::ObjectKey endpoint{api::Kind::WorkloadEndpoint, "default", "n1-k8s-web--1-eth0"};
  const Remark outside{endpoint, endpoint, Remark::Cause::Reference, "spec.ipNetworks",
                       "address 10.99.0.1/32 is in no IPPool"};
  const Remark taken{endpoint, endpoint, Remark::Cause::Conflict, "spec.ipNetworks",
                     "address 10.1.0.1/32 belongs to another"};
  const Remark late{endpoint, endpoint, Remark::Cause::Host, "", "there is no interface cali1"};
  const Remark profile{{api::Kind::Profile, {}, "web"},
                       endpoint,
                       Remark::Cause::Reference,
                       "spec.profiles",
                       "does not exist"};
  const Places pod{{endpoint, {"Pod", "web-1", "pods.yaml", 3}}};
};

TEST_F(Remarks, AreToldByTheKeyWhereNoFileIsKnown) {
  EXPECT_EQ(text(outside, {}),
            "WorkloadEndpoint default/n1-k8s-web--1-eth0: spec.ipNetworks: address 10.99.0.1/32 is "
            "in no IPPool");
}

TEST_F(Remarks, AreToldInTheTermsOfTheFile) {
  EXPECT_EQ(text(outside, pod),
            "Pod default/web-1 (pods.yaml, document 3): status.podIPs: address 10.99.0.1/32 is in "
            "no IPPool");
  EXPECT_EQ(text(late, pod),
            "Pod default/web-1 (pods.yaml, document 3): there is no interface cali1");
  const Places calico{{endpoint, {"WorkloadEndpoint", "n1-k8s-web--1-eth0", "w.yaml", 1}}};
  EXPECT_EQ(text(profile, calico),
            "WorkloadEndpoint default/n1-k8s-web--1-eth0 (w.yaml, document 1): spec.profiles: "
            "Profile web does not exist");
}

TEST_F(Remarks, AreWarningsUnlessSomethingIsLeftOut) {
  StatusView view;
  view.remarks = {outside, taken};
  view.sources["file"].places = pod;
  const auto status = statusJson(view);
  ASSERT_EQ(status["warnings"].size(), 1U);
  EXPECT_EQ(status["warnings"][0], text(outside, pod));
  ASSERT_EQ(status["invalidObjects"].size(), 1U);
  EXPECT_EQ(status["invalidObjects"][0]["file"], "pods.yaml");
  EXPECT_EQ(status["invalidObjects"][0]["document"], 3);
  EXPECT_EQ(status["invalidObjects"][0]["name"], "web-1");
}

TEST_F(Remarks, CountWithWhatCannotBeUsedEachObjectOnce) {
  std::map<std::string, api::SourceState> sources;
  const api::InvalidObject policy{.kind = api::Kind::GlobalNetworkPolicy,
                                  .kindName = "GlobalNetworkPolicy",
                                  .name = "p",
                                  .file = "p.yaml",
                                  .document = 1,
                                  .field = "spec.order"};
  auto again = policy;
  again.field = "spec.tier";
  auto other = policy;
  other.document = 2;
  sources["file"].invalid = {policy, again, other};
  const std::vector<Remark> all{outside, taken, profile, late};
  EXPECT_EQ(invalidByKind(sources, all), (std::map<std::string, std::size_t>{
                                             {"GlobalNetworkPolicy", 2}, {"WorkloadEndpoint", 1}}));
  EXPECT_EQ(invalidByKind({}, std::vector{late}).size(), 0U) << "the host is late, not the object";
}

}  // namespace
}  // namespace margay::agent
