#include "controllers/policy/resolved_lists.h"

#include <utility>

namespace margay::controllers {

ResolvedLists::Entry* ResolvedLists::own(const std::string& label, const std::string& tier,
                                         ResolvedRules rules) {
  auto hash = ruleListHash(label, tier, rules.rules);
  auto& entry = byHash_[hash];
  ++entry.owners;
  if (entry.list) return &entry;
  entry.list = std::make_shared<const RuleList>(
      RuleList{label, tier, std::move(rules.rules), std::move(hash)});
  entry.needs = std::move(rules.sets);
  return &entry;
}

void ResolvedLists::disown(Entry* entry) {
  --entry->owners;
  dropIfUnneeded(entry);
}

void ResolvedLists::use(Entry* entry) {
  if (entry->uses++ > 0) return;
  for (const auto& need : entry->needs) entry->sets.push_back(membership_.acquire(need));
}

void ResolvedLists::unuse(Entry* entry) {
  if (--entry->uses > 0) return;
  for (const auto set : std::exchange(entry->sets, {})) membership_.release(set);
  dropIfUnneeded(entry);
}

void ResolvedLists::dropIfUnneeded(Entry* entry) {
  if (entry->owners == 0 && entry->uses == 0) byHash_.erase(std::string(entry->list->hash));
}

void ListPair::resolve(ResolvedLists& lists, const RuleSource& source) {
  forget(lists);
  ingress_ = lists.own(source.label, source.tier, resolveRules(source.ingress, source.ns));
  egress_ = lists.own(source.label, source.tier, resolveRules(source.egress, source.ns));
}

void ListPair::forget(ResolvedLists& lists) {
  if (!resolved()) return;
  setUsed(lists, false);
  lists.disown(std::exchange(ingress_, nullptr));
  lists.disown(std::exchange(egress_, nullptr));
}

void ListPair::setUsed(ResolvedLists& lists, bool used) {
  if (std::exchange(used_, used) == used) return;
  for (auto* entry : {ingress_, egress_}) used ? lists.use(entry) : lists.unuse(entry);
}

bool ListPair::heldByGroup() const {
  const std::uint32_t own = used_ ? 1 : 0;
  if (ingress_ == egress_) return ingress_->uses > 2 * own;
  return ingress_->uses > own || egress_->uses > own;
}

}  // namespace margay::controllers
