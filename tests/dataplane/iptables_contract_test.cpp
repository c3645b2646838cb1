#include <gmock/gmock.h>
#include <netinet/in.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "dataplane/iptables_driver.h"
#include "dataplane/xtables_socket.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/fakes/fake_rule_driver.h"

/// What every RuleDriver promises, held against the fake and against the legacy tables of the
/// kernel. Rules are told apart by the mark that they match.
namespace margay::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeRuleDriver;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::mustShell;
using Marks = std::vector<std::uint32_t>;

Rule ruleOf(std::uint32_t mark, Action action = Return{}) {
  return {{MarkMatch{mark}}, std::move(action), ""};
}
Rule hookOf(std::uint32_t mark, Action action = Return{}) {
  auto rule = ruleOf(mark, std::move(action));
  rule.comment = "margay: hook";
  return rule;
}
ChainRules rulesOf(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

/// A driver and somebody else who works on the same tables.
class World {
 public:
  virtual ~World() = default;
  virtual RuleDriver& driver() = 0;
  virtual void addForeign(TableId table, BaseChain chain, Position position, const Rule& rule) = 0;
  virtual void addSet(const std::string& name) = 0;
  virtual Marks marksIn(TableId table, const std::string& chain) = 0;
};

class FakeWorld final : public World {
 public:
  FakeWorld() { driver_.addSet("mgy4-other"); }
  RuleDriver& driver() override { return driver_; }
  void addForeign(TableId table, BaseChain chain, Position position, const Rule& rule) override {
    driver_.addForeign(table, chain, position, rule);
  }
  void addSet(const std::string& name) override { driver_.addSet(name); }
  Marks marksIn(TableId table, const std::string& chain) override {
    std::vector<Rule> rules;
    for (const auto base : {BaseChain::Prerouting, BaseChain::Input, BaseChain::Forward,
                            BaseChain::Output, BaseChain::Postrouting})
      if (baseChainText(base) == chain) rules = driver_.baseChain(table, base);
    const auto chains = driver_.chains(table);
    if (const auto found = chains.find(chain); found != chains.end()) rules = found->second;
    Marks out;
    for (const auto& rule : rules) out.push_back(std::get<MarkMatch>(rule.matches.front()).value);
    return out;
  }

 private:
  FakeRuleDriver driver_;
};

class KernelWorld final : public World {
 public:
  KernelWorld() : lock_("/tmp/margay-contract-test." + std::to_string(getpid()) + ".lock") {
    auto opened = IptablesDriver::open({.lockPath = lock_});
    MGY_CHECK(opened.has_value());
    driver_.emplace(std::move(*opened));
  }
  ~KernelWorld() override { unlink(lock_.c_str()); }
  RuleDriver& driver() override { return *driver_; }
  void addForeign(TableId table, BaseChain chain, Position position, const Rule& rule) override {
    mustShell(tool(table) + (position == Position::First ? " -I " : " -A ") +
              std::string(baseChainText(chain)) + ' ' + ruleText(rule, table.family));
  }
  void addSet(const std::string& name) override { mustShell("ipset create " + name + " hash:net"); }
  Marks marksIn(TableId table, const std::string& chain) override {
    std::istringstream lines(mustShell(tool(table) + " -S " + chain));
    Marks out;
    const std::string option = "--mark ";
    for (std::string line; std::getline(lines, line);)
      if (const auto at = line.find(option); at != std::string::npos)
        out.push_back(
            static_cast<std::uint32_t>(std::stoul(line.substr(at + option.size()), nullptr, 16)));
    return out;
  }

 private:
  static std::string tool(TableId table) {
    return (table.family == Family::V4 ? "iptables-legacy -w -t " : "ip6tables-legacy -w -t ") +
           std::string(tableText(table.table));
  }
  std::string lock_;
  std::optional<IptablesDriver> driver_;
};

enum class Which { Fake, Kernel };

class RuleDriverContract : public testing::NetworkNamespaceTest,
                           public ::testing::WithParamInterface<std::tuple<Which, Family>> {
 protected:
  void SetUp() override {
    table_.family = std::get<Family>(GetParam());
    if (std::get<Which>(GetParam()) == Which::Fake) {
      world_ = std::make_unique<FakeWorld>();
      return;
    }
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    if (const auto probed = probeLegacyTables(table_.family); !probed)
      GTEST_SKIP() << probed.error().what;
    world_ = std::make_unique<KernelWorld>();
  }
  void TearDown() override {
    world_.reset();
    NetworkNamespaceTest::TearDown();
  }

  TableFingerprint fingerprint() { return driver().fingerprint(table_).value(); }
  Result<TableFingerprint> tryCommit(const TableEdit& edit) {
    return driver().commit(table_, edit, fingerprint());
  }
  void commit(const TableEdit& edit) {
    const auto done = tryCommit(edit);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(*done, fingerprint());
  }
  void expectRefused(const TableEdit& edit, Errc code,
                     const ::testing::Matcher<std::string>& what) {
    const auto before = driver().read(table_).value();
    const auto done = tryCommit(edit);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, code) << done.error().what;
    EXPECT_THAT(done.error().what, what);
    const auto after = driver().read(table_).value();
    EXPECT_EQ(after.fingerprint, before.fingerprint);
    EXPECT_EQ(after.chains, before.chains);
    EXPECT_EQ(after.hooks, before.hooks);
  }
  std::vector<RuleDigest> digests(const std::vector<Rule>& rules) {
    return driver().digests(table_, rules).value();
  }
  ObservedTable read() { return driver().read(table_).value(); }
  RuleDriver& driver() { return world_->driver(); }
  Marks marks(const std::string& chain) { return world_->marksIn(table_, chain); }
  void foreign(Position position, std::uint32_t mark, Action action = Return{}) {
    world_->addForeign(table_, BaseChain::Forward, position, ruleOf(mark, std::move(action)));
  }

  static constexpr HookKey kFirst{BaseChain::Forward, Position::First};
  static constexpr HookKey kLast{BaseChain::Forward, Position::Last};
  TableId table_;
  std::unique_ptr<World> world_;
};

TEST_P(RuleDriverContract, ReadsAnEmptyTableAsEmpty) {
  const auto observed = read();
  EXPECT_THAT(observed.chains, IsEmpty());
  EXPECT_THAT(observed.hooks, IsEmpty());
  EXPECT_EQ(observed.foreignRules, 0);
  EXPECT_EQ(observed.fingerprint, fingerprint());
}

TEST_P(RuleDriverContract, ReadsBackChainsAndHooksAsTheirDigests) {
  const std::vector<Rule> a{ruleOf(1, Jump{"mgy-b"}), ruleOf(2, Drop{})};
  const std::vector<Rule> b{ruleOf(3, Accept{})};
  const std::vector<Rule> first{hookOf(4, GoTo{"mgy-a"})};
  const std::vector<Rule> last{hookOf(5, Accept{}), hookOf(6)};
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf(a);
  edit.set["mgy-b"] = rulesOf(b);
  edit.hooks[kFirst] = first;
  edit.hooks[kLast] = last;
  commit(edit);
  const auto observed = read();
  EXPECT_EQ(observed.chains.at("mgy-a"), digests(a));
  EXPECT_EQ(observed.chains.at("mgy-b"), digests(b));
  EXPECT_EQ(observed.hooks.at(kFirst), (ObservedHook{digests(first), true}));
  EXPECT_EQ(observed.hooks.at(kLast), (ObservedHook{digests(last), true}));
}

TEST_P(RuleDriverContract, GivesEqualDigestsToEqualRulesOnly) {
  const auto got =
      digests({ruleOf(1), ruleOf(1), ruleOf(2), ruleOf(1, Drop{}), ruleOf(1, Jump{"mgy-a"}),
               ruleOf(1, GoTo{"mgy-a"}), ruleOf(1, Jump{"mgy-b"}), hookOf(1)});
  EXPECT_EQ(got[0], got[1]);
  EXPECT_EQ(std::set<RuleDigest>(got.begin(), got.end()).size(), got.size() - 1);
}

TEST_P(RuleDriverContract, PutsHooksAroundTheRulesOfOthers) {
  foreign(Position::First, 101);
  foreign(Position::Last, 102);
  TableEdit edit;
  edit.hooks[kFirst] = {hookOf(1), hookOf(2)};
  edit.hooks[kLast] = {hookOf(3), hookOf(4)};
  commit(edit);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(1, 2, 101, 102, 3, 4));
  EXPECT_EQ(read().foreignRules, 2);
}

TEST_P(RuleDriverContract, SeesHooksThatAreNotInPlaceAndPutsThemBack) {
  TableEdit edit;
  edit.hooks[kFirst] = {hookOf(1), hookOf(2)};
  edit.hooks[kLast] = {hookOf(3)};
  commit(edit);
  foreign(Position::First, 101);
  EXPECT_FALSE(read().hooks.at(kFirst).inPlace);
  EXPECT_TRUE(read().hooks.at(kLast).inPlace);
  foreign(Position::Last, 102);
  EXPECT_FALSE(read().hooks.at(kLast).inPlace);
  commit(edit);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(1, 2, 101, 102, 3));
  EXPECT_TRUE(read().hooks.at(kFirst).inPlace);
  EXPECT_TRUE(read().hooks.at(kLast).inPlace);
}

TEST_P(RuleDriverContract, ReplacesTheHooksOfOnePlaceAlone) {
  TableEdit edit;
  edit.hooks[kFirst] = {hookOf(1)};
  edit.hooks[kLast] = {hookOf(2)};
  edit.hooks[{BaseChain::Input, Position::First}] = {hookOf(3)};
  commit(edit);
  TableEdit change;
  change.hooks[kFirst] = {hookOf(5), hookOf(6)};
  commit(change);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(5, 6, 2));
  EXPECT_THAT(marks("INPUT"), ElementsAre(3));
}

TEST_P(RuleDriverContract, RewritesOneChainAndLeavesTheOthers) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1, Jump{"mgy-b"})});
  edit.set["mgy-b"] = rulesOf({ruleOf(2), ruleOf(3)});
  commit(edit);
  TableEdit change;
  change.set["mgy-b"] = rulesOf({ruleOf(4)});
  commit(change);
  EXPECT_THAT(marks("mgy-a"), ElementsAre(1));
  EXPECT_THAT(marks("mgy-b"), ElementsAre(4));
}

TEST_P(RuleDriverContract, RefusesToWriteOverATableThatMovedOn) {
  const auto expected = fingerprint();
  foreign(Position::First, 101);
  TableEdit edit;
  edit.hooks[kFirst] = {hookOf(1)};
  const auto done = driver().commit(table_, edit, expected);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Stale);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(101));
}

TEST_P(RuleDriverContract, LeavesTheTableAloneForAnEmptyEdit) {
  EXPECT_EQ(tryCommit({}).value(), fingerprint());
  auto other = fingerprint();
  ++other.entries;
  EXPECT_EQ(driver().commit(table_, {}, other).error().code, Errc::Stale);
}

TEST_P(RuleDriverContract, NamesAChainThatARuleJumpsToInVain) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1), ruleOf(2, Jump{"mgy-gone"})});
  expectRefused(edit, Errc::Invalid, AllOf(HasSubstr("mgy-a"), HasSubstr("mgy-gone")));
  edit.set.clear();
  edit.hooks[kFirst] = {hookOf(1, GoTo{"mgy-gone"})};
  expectRefused(edit, Errc::Invalid, AllOf(HasSubstr("FORWARD"), HasSubstr("mgy-gone")));
}

TEST_P(RuleDriverContract, NamesASetThatDoesNotExistYet) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({{{MarkMatch{1}, SetMatch{"mgy4-a", {End::Source}}}, Drop{}, ""}});
  expectRefused(edit, Errc::NotFound, AllOf(HasSubstr("mgy-a"), HasSubstr("mgy4-a")));
  if (table_.family == Family::V6) return;
  world_->addSet("mgy4-a");
  commit(edit);
}

TEST_P(RuleDriverContract, RemovesChainsThatJumpToEachOtherAndTakesGoneOnesForRemoved) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1, Jump{"mgy-b"})});
  edit.set["mgy-b"] = rulesOf({ruleOf(2, Jump{"mgy-c"})});
  edit.set["mgy-c"] = rulesOf({});
  commit(edit);
  TableEdit removal;
  removal.remove = {"mgy-b", "mgy-a", "mgy-never", "mgy-c"};
  commit(removal);
  EXPECT_THAT(read().chains, IsEmpty());
}

TEST_P(RuleDriverContract, KeepsAChainThatARuleOfOthersJumpsTo) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1)});
  commit(edit);
  foreign(Position::First, 101, Jump{"mgy-a"});
  TableEdit removal;
  removal.remove = {"mgy-a"};
  expectRefused(removal, Errc::Transient, HasSubstr("mgy-a"));
}

TEST_P(RuleDriverContract, KeepsAChainThatOursStillJumpTo) {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1, Jump{"mgy-b"})});
  edit.set["mgy-b"] = rulesOf({});
  commit(edit);
  TableEdit removal;
  removal.remove = {"mgy-b"};
  expectRefused(removal, Errc::Transient, HasSubstr("mgy-b"));
}

TEST_P(RuleDriverContract, MovesAJumpAndRemovesItsOldTargetInOneCommit) {
  TableEdit edit;
  edit.set["mgy-old"] = rulesOf({ruleOf(1)});
  edit.hooks[kFirst] = {hookOf(2, Jump{"mgy-old"})};
  commit(edit);
  TableEdit change;
  change.set["mgy-new"] = rulesOf({ruleOf(3)});
  change.hooks[kFirst] = {hookOf(4, Jump{"mgy-new"})};
  change.remove = {"mgy-old"};
  commit(change);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(4));
  EXPECT_EQ(read().chains.count("mgy-old"), 0);
}

TEST_P(RuleDriverContract, RefusesHooksThatItCouldNotKnowAgain) {
  TableEdit edit;
  edit.hooks[kFirst] = {ruleOf(1)};
  expectRefused(edit, Errc::Invalid, HasSubstr("comment"));
}

TEST_P(RuleDriverContract, RefusesHooksInAChainThatTheTableHasNot) {
  TableEdit edit;
  edit.hooks[{BaseChain::Prerouting, Position::First}] = {hookOf(1)};
  expectRefused(edit, Errc::Invalid, HasSubstr("PREROUTING"));
}

TEST_P(RuleDriverContract, LeavesOnlyTheRulesOfOthersAfterACleanup) {
  foreign(Position::First, 101);
  foreign(Position::Last, 102);
  const auto before = fingerprint();
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1, Jump{"mgy-b"})});
  edit.set["mgy-b"] = rulesOf({ruleOf(2)});
  edit.hooks[kFirst] = {hookOf(3, Jump{"mgy-a"})};
  edit.hooks[kLast] = {hookOf(4)};
  commit(edit);
  TableEdit cleanup;
  cleanup.remove = {"mgy-a", "mgy-b"};
  cleanup.hooks[kFirst] = {};
  cleanup.hooks[kLast] = {};
  commit(cleanup);
  EXPECT_EQ(fingerprint(), before);
  EXPECT_THAT(marks("FORWARD"), ElementsAre(101, 102));
}

INSTANTIATE_TEST_SUITE_P(All, RuleDriverContract,
                         ::testing::Combine(::testing::Values(Which::Fake, Which::Kernel),
                                            ::testing::Values(Family::V4, Family::V6)),
                         [](const auto& tested) {
                           return std::string(std::get<0>(tested.param) == Which::Fake ? "Fake"
                                                                                       : "Kernel") +
                                  (std::get<1>(tested.param) == Family::V4 ? "4" : "6");
                         });

TEST(FakeRuleDriver, FailsTheCallThatItIsToldToAndCountsCommits) {
  FakeRuleDriver driver;
  const TableId table{Family::V4, TableName::Filter};
  driver.failCall(2, Error{Errc::Transient, 0, "planned"});
  const auto before = driver.fingerprint(table).value();
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({ruleOf(1)});
  EXPECT_EQ(driver.commit(table, edit, before).error().what, "planned");
  EXPECT_EQ(driver.commits(table), 0);
  EXPECT_TRUE(driver.commit(table, edit, before));
  EXPECT_EQ(driver.commits(table), 1);
  driver.wipe(table);
  EXPECT_THAT(driver.read(table)->chains, IsEmpty());
}

}  // namespace
}  // namespace margay::dataplane
