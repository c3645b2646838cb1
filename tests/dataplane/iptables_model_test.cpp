#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "dataplane/iptables_driver.h"
#include "dataplane/xtables_socket.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/fakes/fake_rule_driver.h"

/// Any sequence of edits leaves the fake and the kernel with the same rules, and both refuse the
/// same.
namespace margay::dataplane {
namespace {

constexpr TableId kTable{Family::V4, TableName::Filter};

Rule smallRule(bool hook) {
  Rule rule;
  rule.matches = {MarkMatch{*rc::gen::inRange(0U, 50U)}};
  const auto chain = *rc::gen::element<ChainName>("mgy-a", "mgy-b", "mgy-c");
  rule.action = *rc::gen::element<Action>(Drop{}, Return{}, Jump{chain});
  if (hook) rule.comment = "margay: hook";
  return rule;
}

std::vector<Rule> smallRules(bool hook) {
  std::vector<Rule> out(*rc::gen::inRange<std::size_t>(0, 4));
  for (auto& rule : out) rule = smallRule(hook);
  return out;
}

TableEdit smallEdit() {
  TableEdit edit;
  // Jumps lead to later chains only or out of the table: the kernel refuses loops, the fake does
  // not.
  for (const ChainName chain : {"mgy-a", "mgy-b", "mgy-c"}) {
    switch (*rc::gen::inRange(0, 3)) {
      case 0: {
        auto rules = smallRules(false);
        std::erase_if(rules, [&](const Rule& rule) {
          const auto* jump = std::get_if<Jump>(&rule.action);
          return jump != nullptr && jump->chain <= chain;
        });
        edit.set[chain] = std::make_shared<const std::vector<Rule>>(std::move(rules));
        break;
      }
      case 1:
        edit.remove.push_back(chain);
        break;
      default:
        break;
    }
  }
  for (const auto base : {BaseChain::Forward, BaseChain::Output})
    for (const auto position : {Position::First, Position::Last})
      if (*rc::gen::arbitrary<bool>()) edit.hooks[{base, position}] = smallRules(true);
  return edit;
}

class IptablesModelTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    if (const auto probed = probeLegacyTables(Family::V4); !probed)
      GTEST_SKIP() << probed.error().what;
    lock_ = "/tmp/margay-model-test." + std::to_string(getpid()) + ".lock";
    auto opened = IptablesDriver::open({.lockPath = lock_});
    ASSERT_TRUE(opened) << opened.error().what;
    kernel_.emplace(std::move(*opened));
  }
  void TearDown() override {
    unlink(lock_.c_str());
    NetworkNamespaceTest::TearDown();
  }

  static std::optional<Errc> commit(RuleDriver& driver, const TableEdit& edit) {
    const auto done = driver.commit(kTable, edit, driver.fingerprint(kTable).value());
    if (done) return std::nullopt;
    return done.error().code;
  }
  void expectEqual(testing::FakeRuleDriver& fake) {
    const auto observed = kernel_->read(kTable).value();
    std::map<ChainName, std::vector<RuleDigest>> chains;
    for (const auto& [chain, rules] : fake.chains(kTable))
      chains[chain] = kernel_->digests(kTable, rules).value();
    RC_ASSERT(observed.chains == chains);
    const auto expected = fake.read(kTable).value();
    RC_ASSERT(observed.foreignRules == expected.foreignRules);
    std::map<HookKey, bool> inPlace;
    for (const auto& [key, hook] : observed.hooks) inPlace[key] = hook.inPlace;
    std::map<HookKey, bool> fakeInPlace;
    for (const auto& [key, hook] : expected.hooks) fakeInPlace[key] = hook.inPlace;
    RC_ASSERT(inPlace == fakeInPlace);
    for (const auto base : {BaseChain::Forward, BaseChain::Output}) {
      std::vector<RuleDigest> hooks;
      for (const auto position : {Position::First, Position::Last})
        if (const auto found = observed.hooks.find({base, position}); found != observed.hooks.end())
          hooks.insert(hooks.end(), found->second.rules.begin(), found->second.rules.end());
      auto rules = fake.baseChain(kTable, base);
      std::erase_if(rules, [](const Rule& rule) { return rule.comment.empty(); });
      RC_ASSERT(hooks == kernel_->digests(kTable, rules).value());
    }
  }
  void addForeign(testing::FakeRuleDriver& fake) {
    const Rule rule{{MarkMatch{1000}}, Return{}, ""};
    const auto position = *rc::gen::element(Position::First, Position::Last);
    fake.addForeign(kTable, BaseChain::Forward, position, rule);
    testing::mustShell(std::string("iptables-legacy ") +
                       (position == Position::First ? "-I" : "-A") + " FORWARD " +
                       ruleText(rule, kTable.family));
  }

  std::string lock_;
  std::optional<IptablesDriver> kernel_;
};

TEST_F(IptablesModelTest, FakeAndKernelAgreeAfterAnySequenceOfEdits) {
  EXPECT_TRUE(rc::check([this] {
    testing::mustShell("iptables-legacy -F; iptables-legacy -X");
    testing::FakeRuleDriver fake;
    for (auto steps = *rc::gen::inRange(1, 8); steps > 0; --steps) {
      if (*rc::gen::inRange(0, 4) == 0) addForeign(fake);
      const auto edit = smallEdit();
      RC_ASSERT(commit(fake, edit) == commit(*kernel_, edit));
      expectEqual(fake);
    }
  }));
}

}  // namespace
}  // namespace margay::dataplane
