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

TEST(StatusJson, TellsNoticesAsWarningsWithObjectFieldAndReason) {
  StatusView view;
  view.notices.push_back(
      {{api::Kind::GlobalNetworkPolicy, {}, "p"}, "spec.tier", "there is no Tier t"});
  EXPECT_EQ(statusJson(view)["warnings"][0],
            "GlobalNetworkPolicy p: spec.tier: there is no Tier t");
}

}  // namespace
}  // namespace margay::agent
