#include "dataplane/iptables_reader.h"

#include <array>
#include <variant>

#include "dataplane/iptables_hooks.h"
#include "dataplane/xtables_encoder.h"

namespace margay::dataplane::iptables {
namespace {

using xtables::EntryView;

constexpr std::array kBaseChains = {BaseChain::Prerouting, BaseChain::Input, BaseChain::Forward,
                                    BaseChain::Output, BaseChain::Postrouting};

std::optional<BaseChain> baseChainOf(std::string_view name) {
  for (const auto chain : kBaseChains)
    if (baseChainText(chain) == name) return chain;
  return std::nullopt;
}

bool isOurs(std::string_view chain) {
  return chain.substr(0, kChainPrefix.size()) == kChainPrefix;
}

RuleDigest digestOfHook(const EntryView& rule, std::optional<std::string_view> verdict,
                        const xtables::SetNameOf& setNameOf) {
  xtables::EntryBytes copy(rule.bytes().begin(), rule.bytes().end());
  fromKernel(copy, rule.family());
  return digestOf(EntryView(copy, rule.family()), verdict, setNameOf);
}

/// Where the rules of one position are in their chain.
struct Places {
  std::size_t first = 0;
  std::size_t last = 0;
};

void observeHooks(const xtables::Session& session, BaseChain base, const ChainName& name,
                  const xtables::SetNameOf& setNameOf, ObservedTable& out) {
  std::map<Position, Places> places;
  std::size_t count = 0;
  session.forEachRule(name, [&](const EntryView& rule, const auto& verdict) {
    const auto index = count++;
    const auto position = hookPosition(rule.comment());
    if (!position) {
      ++out.foreignRules;
      return;
    }
    out.hooks[{base, *position}].rules.push_back(digestOfHook(rule, verdict, setNameOf));
    places.try_emplace(*position, Places{index, index}).first->second.last = index;
  });
  for (const auto& [position, place] : places) {
    auto& hook = out.hooks[{base, position}];
    hook.inPlace = position == Position::First ? place.last + 1 == hook.rules.size()
                                               : place.first + hook.rules.size() == count;
  }
}

}  // namespace

ObservedTable observe(const xtables::Session& session, const xtables::SetNameOf& setNameOf) {
  ObservedTable out;
  session.forEachChain([&](const char* chain) {
    const ChainName name(chain);
    if (const auto base = baseChainOf(name)) {
      observeHooks(session, *base, name, setNameOf, out);
    } else if (isOurs(name)) {
      auto& digests = out.chains[name];
      session.forEachRule(name, [&](const EntryView& rule, const auto& verdict) {
        digests.push_back(digestOf(rule, verdict, setNameOf));
      });
    } else {
      session.forEachRule(name, [&](const EntryView&, const auto&) { ++out.foreignRules; });
    }
  });
  return out;
}

std::optional<std::string_view> verdictOf(const Action& action) {
  if (std::holds_alternative<Accept>(action)) return "ACCEPT";
  if (std::holds_alternative<Drop>(action)) return "DROP";
  if (std::holds_alternative<Return>(action)) return "RETURN";
  if (const auto* jump = std::get_if<Jump>(&action)) return jump->chain;
  if (const auto* jump = std::get_if<GoTo>(&action)) return jump->chain;
  return std::nullopt;
}

Result<std::vector<RuleDigest>> digestRules(std::span<const Rule> rules, Family family) {
  // A digest holds the set's name: any index that leads back to it will do.
  std::vector<std::string> names;
  const xtables::SetIndexOf indexOf = [&](const std::string& name) -> Result<std::uint16_t> {
    names.push_back(name);
    return static_cast<std::uint16_t>(names.size() - 1);
  };
  const xtables::SetNameOf nameOf = [&](std::uint16_t index) -> const std::string& {
    return names[index];
  };
  std::vector<RuleDigest> out;
  out.reserve(rules.size());
  for (const auto& rule : rules) {
    names.clear();
    const auto entry = xtables::encodeRule(rule, family, indexOf);
    if (!entry) return Fail(entry.error());
    out.push_back(digestOf(EntryView(*entry, family), verdictOf(rule.action), nameOf));
  }
  return out;
}

}  // namespace margay::dataplane::iptables
