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
  Editor(xtables::TableImage& image, Family family, const TableEdit& edit,
         const xtables::SetIndexOf& setIndexOf)
      : image_(image), family_(family), edit_(edit), setIndexOf_(setIndexOf) {}

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

  xtables::TableImage& image_;
  Family family_;
  const TableEdit& edit_;
  const xtables::SetIndexOf& setIndexOf_;
};

/// All before any content, so that rules may jump to chains that come later.
Result<void> Editor::makeChains() {
  for (const auto& [chain, rules] : edit_.set) {
    if (auto named = checkName(chain); !named) return named;
    if (!image_.hasChain(chain)) image_.createChain(chain);
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
  image_.flushChain(chain);
  for (const auto& rule : rules) {
    const auto entry = encode(rule);
    if (!entry) return Fail(entry.error());
    image_.appendRule(chain, *entry);
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
    if (auto put = replaceHooks(image_, key, entries); !put)
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
    if (image_.hasChain(chain)) present.push_back(chain);
  }
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  for (const auto& chain : present) image_.flushChain(chain);
  for (const auto& chain : present) {
    if (image_.references(chain) != 0)
      return fail(Errc::Transient, "cannot remove chain " + chain + ": a rule in chain " +
                                       image_.whoJumpsTo(chain) + " still jumps to it");
    image_.deleteChain(chain);
  }
  return {};
}

Result<EntryBytes> Editor::encode(const Rule& rule) const {
  const auto* jump = std::get_if<Jump>(&rule.action);
  const auto* goTo = std::get_if<GoTo>(&rule.action);
  if (jump != nullptr || goTo != nullptr) {
    const auto& target = jump != nullptr ? jump->chain : goTo->chain;
    if (!image_.hasChain(target) || image_.isBaseChain(target))
      return fail(Errc::Invalid, "rule " + ruleText(rule, family_) + ": there is no chain " +
                                     target + " to jump to");
  }
  return xtables::encodeRule(rule, family_, setIndexOf_);
}

}  // namespace

Result<void> applyEdit(xtables::TableImage& image, TableId table, const TableEdit& edit,
                       const xtables::SetIndexOf& setIndexOf) {
  if (auto done = Editor(image, table.family, edit, setIndexOf).run(); !done)
    return Fail(withContext(done.error(), "table " + table.str()));
  return {};
}

}  // namespace margay::dataplane::iptables
