#include "cmd/agent/rule_tables.h"

#include <string_view>

namespace margay::agent {
namespace {

using dataplane::BaseChain;
using dataplane::HookKey;
using dataplane::Position;

constexpr std::string_view kFirst = " (first)";
constexpr std::string_view kLast = " (last)";
constexpr BaseChain kBaseChains[] = {BaseChain::Prerouting, BaseChain::Input, BaseChain::Forward,
                                     BaseChain::Output, BaseChain::Postrouting};

/// "FORWARD (first)": no chain of ours has such a name.
std::string keyOf(const HookKey& hook) {
  return std::string(dataplane::baseChainText(hook.first)) +
         std::string(hook.second == Position::First ? kFirst : kLast);
}

std::optional<HookKey> hookOf(const std::string& key) {
  for (const auto chain : kBaseChains) {
    for (const auto position : {Position::First, Position::Last}) {
      if (key == keyOf({chain, position})) return HookKey{chain, position};
    }
  }
  return std::nullopt;
}

reconcile::Fingerprint numberOf(const dataplane::TableFingerprint& fingerprint) {
  std::uint64_t out = 0xcbf29ce484222325ULL;
  const auto mix = [&](std::uint32_t value) { out = (out ^ value) * 0x100000001b3ULL; };
  mix(fingerprint.entries);
  mix(fingerprint.size);
  for (const auto value : fingerprint.hooks) mix(value);
  for (const auto value : fingerprint.underflows) mix(value);
  return out;
}

}  // namespace

RuleTableAdapter::RuleTableAdapter(dataplane::RuleDriver& driver, dataplane::TableId id,
                                   const reconcile::TableOptions& options,
                                   reconcile::Jitter& jitter, const RuleTableRole& role)
    : driver_(driver), id_(id) {
  reconcile::KeyedDriver<std::string, RuleContent> functions;
  functions.list = [this] { return list(); };
  functions.apply = [this](auto changes) { return apply(changes); };
  functions.phaseOf = [write = role.write, remove = role.remove](Op op, const std::string&,
                                                                 const RuleContent&) {
    return op == Op::Remove ? remove : write;
  };
  functions.describe = [this](const std::string& key, const RuleContent& content) {
    std::string out = key;
    for (std::size_t i = 0; content.rules && i < content.rules->size(); ++i)
      out += "\n    " + dataplane::ruleText((*content.rules)[i], id_.family);
    return out;
  };
  functions.fingerprint = [this]() -> Result<reconcile::Fingerprint> {
    const auto seen = driver_.fingerprint(id_);
    if (!seen) return Fail(seen.error());
    return numberOf(*seen);
  };
  table_ = std::make_unique<Table>(role.name.empty() ? id.str() : role.name, std::move(functions),
                                   options, jitter);
}

Result<RuleContent> RuleTableAdapter::contentOf(const dataplane::ChainRules& rules) {
  auto digests = driver_.digests(id_, *rules);
  if (!digests) return Fail(digests.error());
  return RuleContent{std::move(*digests), true, rules};
}

Result<void> RuleTableAdapter::setDesired(const dataplane::RuleTable& desired) {
  std::map<std::string, dataplane::ChainRules> wanted(desired.chains.begin(), desired.chains.end());
  std::map<std::string, std::vector<dataplane::Rule>> hooks;
  for (const auto& hook : desired.hooks)
    hooks[keyOf({hook.chain, hook.position})].push_back(hook.rule);
  for (auto& [key, rules] : hooks)
    wanted[key] = std::make_shared<const std::vector<dataplane::Rule>>(std::move(rules));
  for (const auto& [key, rules] : current_) {
    if (!wanted.contains(key)) table_->removeDesired(key);
  }
  for (const auto& [key, rules] : wanted) {
    const auto before = current_.find(key);
    if (before != current_.end() && before->second == rules) continue;
    auto content = contentOf(rules);
    if (!content) return Fail(withContext(content.error(), id_.str() + " " + key));
    table_->setDesired(key, std::move(*content));
  }
  current_ = std::move(wanted);
  return {};
}

Result<std::map<std::string, RuleContent>> RuleTableAdapter::list() {
  auto observed = driver_.read(id_);
  if (!observed) return Fail(observed.error());
  expected_ = observed->fingerprint;
  std::map<std::string, RuleContent> out;
  for (auto& [name, digests] : observed->chains)
    out.emplace(name, RuleContent{std::move(digests), true, nullptr});
  for (auto& [hook, content] : observed->hooks)
    out.emplace(keyOf(hook), RuleContent{std::move(content.rules), content.inPlace, nullptr});
  return out;
}

std::vector<Result<void>> RuleTableAdapter::apply(
    std::span<const reconcile::KeyedChange<std::string, RuleContent>> changes) {
  dataplane::TableEdit edit;
  for (const auto& change : changes) {
    if (const auto hook = hookOf(*change.key)) {
      auto& rules = edit.hooks[*hook];
      if (change.op != Op::Remove) rules = *change.value->rules;
    } else if (change.op == Op::Remove) {
      edit.remove.push_back(*change.key);
    } else {
      edit.set.emplace(*change.key, change.value->rules);
    }
  }
  auto committed = driver_.commit(id_, edit, expected_);
  if (!committed) return {changes.size(), Result<void>(Fail(committed.error()))};
  expected_ = *committed;
  ++commits_;
  return std::vector<Result<void>>(changes.size());
}

}  // namespace margay::agent
