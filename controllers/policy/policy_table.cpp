#include "controllers/policy/policy_table.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "api/selector/effective.h"

namespace margay::controllers {

RuleSource ruleSource(const api::Policy& policy) {
  return {policy.name, policy.tier, policy.ns.view(), policy.ingress, policy.egress};
}
RuleSource ruleSource(const api::Profile& profile) {
  return {{}, {}, {}, profile.ingress, profile.egress};
}

bool PolicyRecord::before(const PolicyRecord& a, const PolicyRecord& b) {
  constexpr double kLast = std::numeric_limits<double>::infinity();
  return std::tuple(a.policy->order.value_or(kLast), std::string_view(a.tieBreak)) <
         std::tuple(b.policy->order.value_or(kLast), std::string_view(b.tieBreak));
}

void PolicyTable::set(const api::ObjectKey& key, Shared<api::Policy> policy,
                      std::set<ClassId>& dirty) {
  const auto found = records_.find(key);
  const bool known = found != records_.end();
  if (!known && !policy) return;
  if (known && policy && *found->second.policy == *policy) return;
  if (known) {
    for (const auto of : local_.classesOf(found->second.selector)) dirty.insert(of);
  }
  if (!policy) {
    auto& gone = found->second;
    ignore(gone);
    gone.lists.forget(lists_);
    dirty_.erase(&gone);
    idle_.erase(&gone);
    if (gone.active) --active_;
    records_.erase(found);
    return;
  }
  auto& record = known ? found->second : records_[key];
  const auto selector = api::policySelector(*policy);
  record.policy = std::move(policy);
  dirty_.insert(&record);
  if (!known) {
    record.key = key;
    record.name = key.ns.empty() ? key.name : key.ns.str() + '/' + key.name;
    record.tieBreak = key.name + '/' + key.ns.str() + '/' + std::string(api::kindText(key.kind));
    record.selector = local_.add(selector);
  } else {
    if (record.lists.resolved()) record.lists.resolve(lists_, ruleSource(*record.policy));
    const auto next = local_.add(selector);
    ignore(record);
    record.selector = next;
  }
  listen(record);
  for (const auto of : local_.classesOf(record.selector)) dirty.insert(of);
}

void PolicyTable::listen(PolicyRecord& record) {
  if (record.selector >= bySelector_.size()) bySelector_.resize(record.selector + 1);
  bySelector_[record.selector].push_back(&record);
}

void PolicyTable::ignore(PolicyRecord& record) {
  auto& all = bySelector_[record.selector];
  all.erase(std::find(all.begin(), all.end(), &record));
  local_.remove(record.selector);
}

void PolicyTable::onMatchChange(SelectorId selector) {
  if (selector >= bySelector_.size()) return;
  dirty_.insert(bySelector_[selector].begin(), bySelector_[selector].end());
}

void PolicyTable::refresh() {
  for (auto* record : std::exchange(dirty_, {})) {
    if (record->active) --active_;
    record->active = local_.matchCount(record->selector) > 0;
    if (record->active) ++active_;
    if (record->active && !record->lists.resolved())
      record->lists.resolve(lists_, ruleSource(*record->policy));
    if (record->lists.resolved()) record->lists.setUsed(lists_, record->active);
    if (record->active || !record->lists.resolved()) {
      idle_.erase(record);
    } else {
      idle_.insert(record);
    }
  }
}

void PolicyTable::dropIdle() {
  for (auto at = idle_.begin(); at != idle_.end();) {
    if ((*at)->lists.heldByGroup()) {
      ++at;
      continue;
    }
    (*at)->lists.forget(lists_);
    at = idle_.erase(at);
  }
}

const std::vector<PolicyRecord*>& PolicyTable::of(SelectorId selector) const {
  static const std::vector<PolicyRecord*> kNone;
  return selector < bySelector_.size() ? bySelector_[selector] : kNone;
}

}  // namespace margay::controllers
