#include "controllers/node/address_sets.h"

#include <algorithm>
#include <variant>

namespace margay::controllers {
namespace {

using dataplane::Match;
using dataplane::Rule;
using dataplane::SetMatch;

std::size_t netsIn(const std::vector<dataplane::SetMember>& members) {
  return static_cast<std::size_t>(std::count_if(
      members.begin(), members.end(), [](const auto& member) { return !member.net.isHost(); }));
}

}  // namespace

dataplane::SetName intervalSetName(const dataplane::SetName& plain) {
  constexpr std::size_t kKindLetter = 5;  // of "mgy4-s-"
  auto out = plain;
  out[kKindLetter] = out[kKindLetter] == 's' ? 'n' : 'b';
  return out;
}

bool AddressSets::count(const dataplane::SetName& plain, const MembersChange& change) {
  const auto left = netsIn(change.removed);
  const auto came = netsIn(change.added);
  if (left == 0 && came == 0) return false;
  const bool before = hasNets(plain);
  auto& nets = nets_[plain];
  nets = nets + came - std::min(nets + came, left);
  if (nets == 0) nets_.erase(plain);
  const bool changed = before != hasNets(plain);
  if (changed) renamed_.clear();
  return changed;
}

std::pair<dataplane::SetName, dataplane::SetType> AddressSets::layout(
    const dataplane::SetName& plain) const {
  if (hasNets(plain)) return {intervalSetName(plain), dataplane::SetType::HashNet};
  return {plain, dataplane::SetType::HashAddress};
}

ChainMap AddressSets::renamed(const ChainMap& chains) {
  ChainMap out = chains;
  if (nets_.empty()) return out;
  std::map<dataplane::ChainName, Renamed> kept;
  for (auto& [name, rules] : out) {
    const auto known = renamed_.find(name);
    Renamed now = known != renamed_.end() && known->second.from == rules
                      ? known->second
                      : Renamed{rules, withNames(rules)};
    if (now.to == rules) continue;
    rules = now.to;
    kept.emplace(name, std::move(now));
  }
  renamed_ = std::move(kept);
  return out;
}

dataplane::ChainRules AddressSets::withNames(const dataplane::ChainRules& rules) const {
  const auto asks = [&](const Match& match) {
    const auto* set = std::get_if<SetMatch>(&match);
    return set != nullptr && hasNets(set->set);
  };
  const bool any = std::any_of(rules->begin(), rules->end(), [&](const Rule& rule) {
    return std::any_of(rule.matches.begin(), rule.matches.end(), asks);
  });
  if (!any) return rules;
  auto copy = *rules;
  for (Rule& rule : copy) {
    for (Match& match : rule.matches) {
      if (!asks(match)) continue;
      auto& set = std::get<SetMatch>(match);
      set.set = intervalSetName(set.set);
    }
  }
  return std::make_shared<const std::vector<Rule>>(std::move(copy));
}

}  // namespace margay::controllers
