#include "cmd/agent/flow_purge.h"

#include <vector>

#include "base/log.h"
#include "cmd/agent/phases.h"

namespace margay::agent {

Result<void> FlowPurge::refresh(TimePoint now) {
  if (now >= notBefore_) waiting_ = false;
  status_.lastList = now;
  return {};
}

std::optional<reconcile::Phase> FlowPurge::nextPhase(reconcile::Phase from, reconcile::Removals) {
  if (addresses_.empty() || waiting_ || from > kPurge) return std::nullopt;
  return kPurge;
}

reconcile::Progress FlowPurge::apply(reconcile::Phase phase, reconcile::Removals, TimePoint now) {
  reconcile::Progress progress;
  if (phase != kPurge || addresses_.empty() || waiting_) return progress;
  const std::vector<Address> addresses(addresses_.begin(), addresses_.end());
  const auto deleted = driver_.deleteFlows(addresses);
  if (!deleted) {
    log::warn("cannot delete flows of addresses that moved", {{"error", deleted.error().what}});
    status_.lastError = reconcile::TableError{addresses.front().str(), deleted.error(), now};
    ++status_.errors;
    notBefore_ = now + reconcile::backoffDelay({}, ++failures_, jitter_);
    waiting_ = true;
    progress.failed = addresses.size();
    return progress;
  }
  failures_ = 0;
  addresses_.clear();
  status_.changes.remove += *deleted;
  progress.changed = *deleted;
  return progress;
}

reconcile::TableStatus FlowPurge::status() const {
  auto out = status_;
  out.name = name_;
  out.inDoubt = false;  // there is nothing to list
  out.pending = addresses_.size();
  out.failing = waiting_ ? addresses_.size() : 0;
  return out;
}

std::vector<reconcile::PlannedChange> FlowPurge::plan() const {
  std::vector<reconcile::PlannedChange> out;
  for (const auto& address : addresses_) out.push_back({Op::Remove, "flows of " + address.str()});
  return out;
}

}  // namespace margay::agent
