#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// Packet-filter tables that behave as the kernel's do behind the driver
/// (tests/dataplane/iptables_contract_test holds them against the kernel). What is public besides
/// the driver is the world around it. Each of the driver's functions is one call for `failCall`.
class FakeRuleDriver final : public dataplane::RuleDriver, public CallFailures {
 public:
  using TableId = dataplane::TableId;
  using Rule = dataplane::Rule;
  using BaseChain = dataplane::BaseChain;
  using Position = dataplane::Position;

  /// From now on a rule may only match sets that were added.
  void addSet(const std::string& name) {
    if (!sets_) sets_.emplace();
    sets_->insert(name);
  }
  /// A rule of somebody else, above or below all that is there.
  void addForeign(TableId table, BaseChain chain, Position position, Rule rule) {
    auto& rules = tables_[table].base[chain];
    rules.insert(position == Position::First ? rules.begin() : rules.end(), {{}, std::move(rule)});
  }
  void removeForeign(TableId table, BaseChain chain) {
    std::erase_if(tables_[table].base[chain], [](const auto& entry) { return !entry.position; });
  }
  /// As if somebody had flushed everything behind our back, `iptables -F; iptables -X`.
  void wipe(TableId table) { tables_.erase(table); }
  /// As if somebody had deleted the last rule of the chain.
  void loseRule(TableId table, const dataplane::ChainName& chain) {
    auto& rules = tables_[table].chains.at(chain);
    if (!rules.empty()) rules.pop_back();
  }

  [[nodiscard]] unsigned commits(TableId table) const {
    const auto found = commits_.find(table);
    return found == commits_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::map<dataplane::ChainName, std::vector<Rule>> chains(TableId table) const {
    return tableOf(table).chains;
  }
  /// Ours and others', in order.
  [[nodiscard]] std::vector<Rule> baseChain(TableId table, BaseChain chain) const {
    std::vector<Rule> out;
    const auto content = tableOf(table);
    if (const auto found = content.base.find(chain); found != content.base.end())
      for (const auto& entry : found->second) out.push_back(entry.rule);
    return out;
  }

  Result<dataplane::TableFingerprint> fingerprint(TableId table) override {
    if (auto error = nextCall()) return Fail(*error);
    return fingerprintOf(table);
  }
  Result<dataplane::ObservedTable> read(TableId table) override {
    if (auto error = nextCall()) return Fail(*error);
    return observe(table);
  }
  Result<std::vector<dataplane::RuleDigest>> digests(TableId table,
                                                     std::span<const Rule> rules) override {
    if (auto error = nextCall()) return Fail(*error);
    return digestsOf(table, rules);
  }
  Result<dataplane::TableFingerprint> commit(TableId table, const dataplane::TableEdit& edit,
                                             const dataplane::TableFingerprint& expected) override {
    if (auto error = nextCall()) return Fail(*error);
    if (fingerprintOf(table) != expected)
      return fail(Errc::Stale, "table " + table.str() + " changed since it was read");
    if (edit.empty()) return expected;
    auto content = tableOf(table);
    if (auto applied = applyEdit(table, edit, content); !applied) return Fail(applied.error());
    tables_[table] = std::move(content);
    ++commits_[table];
    return fingerprintOf(table);
  }

 private:
  struct BaseEntry {
    std::optional<Position> position;  ///< none: somebody else's
    Rule rule;
  };
  struct Content {
    std::map<dataplane::ChainName, std::vector<Rule>> chains;
    std::map<BaseChain, std::vector<BaseEntry>> base;
  };

  [[nodiscard]] Content tableOf(TableId table) const {
    const auto found = tables_.find(table);
    return found == tables_.end() ? Content{} : found->second;
  }

  static std::vector<dataplane::RuleDigest> digestsOf(TableId table, std::span<const Rule> rules) {
    std::vector<dataplane::RuleDigest> out;
    for (const auto& rule : rules)
      out.push_back(std::hash<std::string>{}(ruleText(rule, table.family)));
    return out;
  }

  [[nodiscard]] dataplane::TableFingerprint fingerprintOf(TableId table) const {
    dataplane::TableFingerprint out;
    const auto count = [&](const Rule& rule) {
      ++out.entries;
      out.size += static_cast<std::uint32_t>(ruleText(rule, table.family).size());
    };
    const auto content = tableOf(table);
    for (const auto& [name, rules] : content.chains) {
      out.entries += 2;
      for (const auto& rule : rules) count(rule);
    }
    for (const auto& [chain, entries] : content.base) {
      for (const auto& entry : entries) count(entry.rule);
      out.hooks[static_cast<std::size_t>(chain)] = static_cast<std::uint32_t>(entries.size());
    }
    return out;
  }

  [[nodiscard]] dataplane::ObservedTable observe(TableId table) const {
    dataplane::ObservedTable out;
    const auto content = tableOf(table);
    for (const auto& [name, rules] : content.chains) out.chains[name] = digestsOf(table, rules);
    for (const auto& [chain, entries] : content.base) {
      std::map<Position, std::vector<std::size_t>> places;
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i].position) {
          ++out.foreignRules;
          continue;
        }
        places[*entries[i].position].push_back(i);
        auto& rules = out.hooks[{chain, *entries[i].position}].rules;
        rules.push_back(digestsOf(table, {&entries[i].rule, 1}).front());
      }
      for (const auto& [position, at] : places)
        out.hooks[{chain, position}].inPlace = position == Position::First
                                                   ? at.back() + 1 == at.size()
                                                   : at.front() + at.size() == entries.size();
    }
    out.fingerprint = fingerprintOf(table);
    return out;
  }

  static const dataplane::ChainName* targetOf(const Rule& rule) {
    if (const auto* jump = std::get_if<dataplane::Jump>(&rule.action)) return &jump->chain;
    if (const auto* jump = std::get_if<dataplane::GoTo>(&rule.action)) return &jump->chain;
    return nullptr;
  }

  static bool hasBaseChain(dataplane::TableName table, BaseChain chain) {
    using dataplane::TableName;
    switch (table) {
      case TableName::Raw:
        return chain == BaseChain::Prerouting || chain == BaseChain::Output;
      case TableName::Mangle:
        return true;
      case TableName::Nat:
        return chain != BaseChain::Forward;
      case TableName::Filter:
        return chain != BaseChain::Prerouting && chain != BaseChain::Postrouting;
    }
    return false;
  }

  Result<void> checkRule(const std::string& chain, const Rule& rule, const Content& content) const {
    const auto* target = targetOf(rule);
    if (target != nullptr && content.chains.count(*target) == 0)
      return fail(Errc::Invalid, "chain " + chain + ": there is no chain " + *target);
    for (const auto& match : rule.matches) {
      const auto* set = std::get_if<dataplane::SetMatch>(&match);
      if (set != nullptr && sets_ && sets_->count(set->set) == 0)
        return fail(Errc::NotFound, "chain " + chain + ": no such set " + set->set);
    }
    return {};
  }

  Result<void> applyEdit(TableId table, const dataplane::TableEdit& edit, Content& content) const {
    for (const auto& [name, rules] : edit.set)
      content.chains[name] = rules == nullptr ? std::vector<Rule>{} : *rules;
    for (const auto& [name, rules] : edit.set)
      for (const auto& rule : content.chains[name])
        if (auto checked = checkRule(name, rule, content); !checked) return checked;
    for (const auto& [key, rules] : edit.hooks)
      if (auto put = putHooks(table, key, rules, content); !put) return put;
    return removeChains(edit.remove, content);
  }

  Result<void> putHooks(TableId table, const dataplane::HookKey& key,
                        const std::vector<Rule>& rules, Content& content) const {
    const auto& [chain, position] = key;
    const std::string name(baseChainText(chain));
    if (!hasBaseChain(table.table, chain))
      return fail(Errc::Invalid, table.str() + " has no chain " + name);
    auto& entries = content.base[chain];
    std::erase_if(entries, [&](const auto& entry) { return entry.position == key.second; });
    std::size_t at = position == Position::First ? 0 : entries.size();
    for (const auto& rule : rules) {
      if (rule.comment.rfind(dataplane::kHookCommentPrefix, 0) != 0)
        return fail(Errc::Invalid, "chain " + name + ": not a comment of ours: " + rule.comment);
      if (auto checked = checkRule(name, rule, content); !checked) return checked;
      entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at++), {position, rule});
    }
    return {};
  }

  static Result<void> removeChains(const std::vector<dataplane::ChainName>& names,
                                   Content& content) {
    for (const auto& name : names) content.chains.erase(name);
    const auto check = [&](const Rule& rule) -> Result<void> {
      const auto* target = targetOf(rule);
      if (target == nullptr || content.chains.count(*target) != 0) return {};
      return fail(Errc::Transient, "cannot remove chain " + *target + ": a rule jumps to it");
    };
    for (const auto& [name, rules] : content.chains)
      for (const auto& rule : rules)
        if (auto checked = check(rule); !checked) return checked;
    for (const auto& [chain, entries] : content.base)
      for (const auto& entry : entries)
        if (auto checked = check(entry.rule); !checked) return checked;
    return {};
  }

  std::map<TableId, Content> tables_;
  std::map<TableId, unsigned> commits_;
  std::optional<std::set<std::string>> sets_;
};

}  // namespace margay::testing
