#include <span>
#include <string_view>
#include <utility>

#include "dataplane/nft_drivers.h"

namespace margay::dataplane {
namespace {

/// FNV-1a, 64 bits.
class Hash {
 public:
  void add(std::span<const std::uint8_t> bytes) {
    for (const auto byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3ULL;
    value_ = (value_ ^ bytes.size()) * 0x100000001b3ULL;
  }
  void add(std::string_view text) {
    add({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  void add(std::uint32_t number) {
    add({reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
  }
  [[nodiscard]] std::uint64_t value() const { return value_ == 0 ? 1 : value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

/// 0 stands for rules of others.
RuleDigest digestOf(const NftExpressions& expressions, std::string_view comment) {
  Hash hash;
  hash.add(std::span<const std::uint8_t>(expressions.bytes));
  for (const auto& set : expressions.sets) {
    for (const auto& range : set.ports) hash.add(std::uint32_t{range.first} << 16 | range.last);
    for (const auto& [number, chain] : set.chains) {
      hash.add(number);
      hash.add(chain);
    }
  }
  hash.add(comment);
  return hash.value();
}

std::vector<Rule> alternativesOf(std::span<const Rule> rules) {
  std::vector<Rule> out;
  out.reserve(rules.size());
  for (const Rule& rule : rules) appendNftAlternatives(rule, out);
  return out;
}

}  // namespace

Result<TableFingerprint> NftDriver::Rules::fingerprint(TableId table) {
  owner_.readEvents();
  TableFingerprint out;
  out.entries = owner_.foreign_[table.family];
  return out;
}

Result<ObservedTable> NftDriver::Rules::read(TableId table) {
  owner_.flushForReading();
  owner_.readEvents();
  const auto chains = owner_.chainsOf(table.family);
  if (!chains) return Fail(chains.error());
  ObservedTable out;
  if (const auto found = (*chains)->tables.find(table.table); found != (*chains)->tables.end())
    out = found->second;
  out.fingerprint.entries = owner_.foreign_[table.family];
  return out;
}

Result<std::vector<RuleDigest>> NftDriver::Rules::digests(TableId table,
                                                          std::span<const Rule> rules) {
  std::vector<RuleDigest> out;
  out.reserve(rules.size());
  for (const Rule& rule : alternativesOf(rules)) {
    const auto expressions = nftExpressions(rule, table.family);
    if (!expressions) {
      return Fail(
          withContext(expressions.error(), table.str() + " rule " + ruleText(rule, table.family)));
    }
    out.push_back(digestOf(*expressions, rule.comment));
  }
  return out;
}

Result<std::vector<NftDriver::Rules::Chain>> NftDriver::Rules::encode(TableId table,
                                                                      const TableEdit& edit) {
  std::vector<Chain> out;
  for (const auto& [name, rules] : edit.set)
    out.push_back({name, alternativesOf(*rules), {}, std::nullopt, 0});
  for (const auto& [hook, rules] : edit.hooks) {
    const NftBaseChain base{table.table, hook};
    out.push_back({baseChainName(base), alternativesOf(rules), {}, base, 0});
  }
  for (Chain& chain : out) {
    for (const Rule& rule : chain.rules) {
      auto expressions = nftExpressions(rule, table.family);
      if (!expressions) return Fail(withContext(expressions.error(), "chain " + chain.name));
      chain.expressions.push_back(std::move(*expressions));
    }
  }
  return out;
}

Result<TableFingerprint> NftDriver::Rules::commit(TableId table, const TableEdit& edit,
                                                  const TableFingerprint& expected) {
  owner_.readEvents();
  if (owner_.foreign_[table.family] != expected.entries)
    return fail(Errc::Stale, table.str() + ": somebody else changed it");
  auto chains = encode(table, edit);
  if (!chains) return Fail(chains.error());

  NftBatch& batch = owner_.batch_;
  owner_.needTable(table.family);
  const auto unitOf = [&](const ChainName& name) {
    return batch.add({table.family, "chain " + name, {}, table.table, 0});
  };
  const auto isGone = [](const Chain& chain) { return chain.base && chain.rules.empty(); };
  // All chains first, for rules may jump to any of them; then all old rules go, so that no chain
  // that goes has references.
  for (Chain& chain : *chains) {
    chain.unit = unitOf(chain.name);
    if (isGone(chain)) continue;
    if (chain.base) {
      batch.baseChain(chain.unit, *chain.base);
    } else {
      batch.chain(chain.unit, table.table, chain.name);
    }
  }
  std::vector<std::pair<Unit, ChainName>> gone;
  for (const ChainName& name : edit.remove) gone.emplace_back(unitOf(name), name);
  for (const Chain& chain : *chains) {
    if (isGone(chain)) {
      gone.emplace_back(chain.unit, chain.name);
    } else {
      batch.flushChain(chain.unit, chain.name);
    }
  }
  for (const auto& [unit, name] : gone) batch.flushChain(unit, name);
  for (const Chain& chain : *chains) {
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      batch.rule(chain.unit, chain.name, chain.expressions[i], chain.rules[i].comment,
                 digestOf(chain.expressions[i], chain.rules[i].comment));
    }
  }
  for (const auto& [unit, name] : gone) batch.removeChain(unit, name);
  ++owner_.commits_;
  if (auto settled = owner_.settle(); !settled) return Fail(settled.error());
  return expected;
}

}  // namespace margay::dataplane
