#include "dataplane/iptables_commit.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/iptables_hooks.h"

namespace margay::dataplane::iptables {
namespace {

using xtables::EntryBytes;

Result<void> checkName(const ChainName& chain) {
  if (std::string_view(chain).substr(0, kChainPrefix.size()) != kChainPrefix || chain.size() > 28)
    return fail(Errc::Bug, "chain \"" + chain + "\" is not ours: names begin with " +
                               std::string(kChainPrefix) + " and have at most 28 bytes");
  return {};
}

class Editor {
 public:
  Editor(xtables::Session& session, Family family, const TableEdit& edit,
         const xtables::SetIndexOf& setIndexOf)
      : session_(session), family_(family), edit_(edit), setIndexOf_(setIndexOf) {}

  Result<void> run() {
    if (auto made = makeChains(); !made) return made;
    if (auto filled = fillChains(); !filled) return filled;
    if (auto hooked = putHooks(); !hooked) return hooked;
    return removeChains();
  }

 private:
  Result<void> makeChains();
  Result<void> fillChains();
  Result<void> fillChain(const ChainName& chain, const std::vector<Rule>& rules);
  Result<void> putHooks();
  Result<void> removeChains();
  Result<EntryBytes> encode(const Rule& rule) const;
  [[nodiscard]] std::string whoJumpsTo(const ChainName& chain) const;

  xtables::Session& session_;
  Family family_;
  const TableEdit& edit_;
  const xtables::SetIndexOf& setIndexOf_;
};

/// All before any content, so that rules may jump to chains that come later.
Result<void> Editor::makeChains() {
  for (const auto& [chain, rules] : edit_.set) {
    if (auto named = checkName(chain); !named) return named;
    if (session_.hasChain(chain)) continue;
    if (auto made = session_.createChain(chain); !made) return made;
  }
  return {};
}

Result<void> Editor::fillChains() {
  for (const auto& [chain, rules] : edit_.set) {
    if (rules == nullptr) continue;
    if (auto filled = fillChain(chain, *rules); !filled)
      return Fail(withContext(filled.error(), "chain " + chain));
  }
  return {};
}

Result<void> Editor::fillChain(const ChainName& chain, const std::vector<Rule>& rules) {
  if (auto flushed = session_.flushChain(chain); !flushed) return flushed;
  for (const auto& rule : rules) {
    const auto entry = encode(rule);
    if (!entry) return Fail(entry.error());
    if (auto put = session_.appendRule(chain, *entry); !put) return put;
  }
  return {};
}

Result<void> Editor::putHooks() {
  for (const auto& [key, rules] : edit_.hooks) {
    std::vector<EntryBytes> entries;
    const auto context = "chain " + std::string(baseChainText(key.first));
    for (const auto& rule : rules) {
      const auto hook = toKernel(rule, key.second);
      if (!hook) return Fail(withContext(hook.error(), context));
      auto entry = encode(*hook);
      if (!entry) return Fail(withContext(entry.error(), context));
      entries.push_back(std::move(*entry));
    }
    if (auto put = replaceHooks(session_, key, entries); !put)
      return Fail(withContext(put.error(), context));
  }
  return {};
}

/// All are emptied first: they may jump to each other.
Result<void> Editor::removeChains() {
  std::vector<ChainName> present;
  for (const auto& chain : edit_.remove) {
    if (auto named = checkName(chain); !named) return named;
    if (edit_.set.count(chain) != 0)
      return fail(Errc::Bug, "chain " + chain + " is both made and removed");
    if (session_.hasChain(chain)) present.push_back(chain);
  }
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  for (const auto& chain : present)
    if (auto flushed = session_.flushChain(chain); !flushed) return flushed;
  for (const auto& chain : present) {
    if (session_.references(chain) != 0)
      return fail(Errc::Transient, "cannot remove chain " + chain + ": a rule in chain " +
                                       whoJumpsTo(chain) + " still jumps to it");
    if (auto gone = session_.deleteChain(chain); !gone) return gone;
  }
  return {};
}

Result<EntryBytes> Editor::encode(const Rule& rule) const {
  const auto* jump = std::get_if<Jump>(&rule.action);
  const auto* goTo = std::get_if<GoTo>(&rule.action);
  if (jump != nullptr || goTo != nullptr) {
    const auto& target = jump != nullptr ? jump->chain : goTo->chain;
    if (!session_.hasChain(target) || session_.isBaseChain(target))
      return fail(Errc::Invalid, "rule " + ruleText(rule, family_) + ": there is no chain " +
                                     target + " to jump to");
  }
  return xtables::encodeRule(rule, family_, setIndexOf_);
}

std::string Editor::whoJumpsTo(const ChainName& chain) const {
  std::string found;
  session_.forEachChain([&](const char* candidate) {
    session_.forEachRule(candidate, [&](const auto&, const auto& verdict) {
      if (found.empty() && verdict == std::string_view(chain)) found = candidate;
    });
  });
  return found;
}

}  // namespace

Result<void> applyEdit(xtables::Session& session, TableId table, const TableEdit& edit,
                       const xtables::SetIndexOf& setIndexOf) {
  if (auto done = Editor(session, table.family, edit, setIndexOf).run(); !done)
    return Fail(withContext(done.error(), "table " + table.str()));
  return {};
}

}  // namespace margay::dataplane::iptables
