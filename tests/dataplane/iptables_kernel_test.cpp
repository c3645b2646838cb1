#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "dataplane/iptables_driver.h"
#include "dataplane/xtables_info.h"
#include "tests/dataplane/iptables_generators.h"
#include "tests/dataplane/network_namespace.h"

/// What only the real kernel can say: that it takes what we encode, gives it back as we digest it,
/// and that iptables-save reads it as ruleText writes it.
namespace margay::dataplane {
namespace {

using ::testing::HasSubstr;
using testing::mustShell;
using testing::shell;

ChainRules rulesOf(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

class IptablesKernelTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    for (const auto family : {Family::V4, Family::V6})
      if (const auto probed = probeLegacyTables(family); !probed)
        GTEST_SKIP() << probed.error().what;
    lock_ = "/tmp/margay-iptables-test." + std::to_string(getpid()) + ".lock";
    auto opened = IptablesDriver::open({.lockPath = lock_});
    ASSERT_TRUE(opened) << opened.error().what;
    driver_.emplace(std::move(*opened));
    mustShell(
        "ipset create mgy4-a hash:net; ipset create mgy4-b hash:net;"
        "ipset create mgy6-a hash:net family inet6; ipset create mgy6-b hash:net family inet6");
  }
  void TearDown() override {
    unlink(lock_.c_str());
    NetworkNamespaceTest::TearDown();
  }
  static std::vector<std::string> setsOf(Family family) {
    if (family == Family::V4) return {"mgy4-a", "mgy4-b"};
    return {"mgy6-a", "mgy6-b"};
  }
  Result<TableFingerprint> commit(TableId table, const TableEdit& edit) {
    const auto fingerprint = driver_->fingerprint(table);
    if (!fingerprint) return Fail(fingerprint.error());
    return driver_->commit(table, edit, *fingerprint);
  }
  static std::vector<std::string> savedRules(TableId table, const ChainName& chain) {
    const std::string tool =
        table.family == Family::V4 ? "iptables-legacy-save" : "ip6tables-legacy-save";
    std::istringstream lines(mustShell(tool + " -t " + std::string(tableText(table.table))));
    std::vector<std::string> out;
    const auto prefix = "-A " + chain + ' ';
    for (std::string line; std::getline(lines, line);)
      if (line.rfind(prefix, 0) == 0) out.push_back(line.substr(prefix.size()));
    return out;
  }
  void roundTrips(TableId table);

  std::string lock_;
  std::optional<IptablesDriver> driver_;
};

void IptablesKernelTest::roundTrips(TableId table) {
  const auto rules = *rc::gen::container<std::vector<Rule>>(
      testing::iptablesRule(table, {"mgy-x", "mgy-y"}, setsOf(table.family)));
  const auto digests = driver_->digests(table, rules);
  RC_ASSERT(digests.has_value());
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf(rules);
  edit.set["mgy-x"] = edit.set["mgy-y"] = rulesOf({});
  const auto done = commit(table, edit);
  if (!done) RC_FAIL(done.error().what);
  const auto observed = driver_->read(table);
  RC_ASSERT(observed.has_value());
  RC_ASSERT(observed->fingerprint == *done);
  RC_ASSERT(observed->chains.at("mgy-a") == *digests);

  std::vector<std::string> texts;
  for (const auto& rule : rules) texts.push_back(ruleText(rule, table.family));
  RC_ASSERT(savedRules(table, "mgy-a") == texts);
}

class IptablesRoundTripTest : public IptablesKernelTest,
                              public ::testing::WithParamInterface<TableId> {};

TEST_P(IptablesRoundTripTest, ReadsBackWhatItCommittedAndIptablesSaveAgrees) {
  EXPECT_TRUE(rc::check([this] { roundTrips(GetParam()); }));
}

std::vector<TableId> allTables() {
  std::vector<TableId> out;
  for (const auto family : {Family::V4, Family::V6})
    for (const auto table : {TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter})
      out.push_back({family, table});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Tables, IptablesRoundTripTest, ::testing::ValuesIn(allTables()),
                         [](const auto& tested) {
                           return std::string(tableText(tested.param.table)) +
                                  (tested.param.family == Family::V4 ? "4" : "6");
                         });

}  // namespace
}  // namespace margay::dataplane
