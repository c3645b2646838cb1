#include "cmd/agent/flow_purge.h"

#include <utility>

#include "base/log.h"
#include "cmd/agent/phases.h"
#include "cmd/agent/set_table.h"

namespace margay::agent {

Result<void> FlowPurge::refresh(TimePoint now, reconcile::Checks) {
  if (now >= notBefore_) waiting_ = false;
  if (worker_.busy() && worker_.done()) finish(now);
  status_.lastList = now;
  return {};
}

std::optional<reconcile::Phase> FlowPurge::nextPhase(reconcile::Phase from, reconcile::Removals) {
  if (from > kPurge || waiting_) return std::nullopt;
  const bool hasWork = !arriving_.empty() || (!left_.empty() && !worker_.busy());
  return hasWork ? std::optional(kPurge) : std::nullopt;
}

reconcile::Progress FlowPurge::apply(reconcile::Phase phase, reconcile::Removals removals,
                                     TimePoint now) {
  reconcile::Progress progress;
  if (phase != kPurge || nextPhase(phase, removals) != phase) return progress;
  const auto add = [&](const reconcile::Progress& more) {
    progress.changed += more.changed;
    progress.failed += more.failed;
  };
  if (!arriving_.empty()) {
    // What runs may have passed by the address's last flow; and it must not go on beside new ones.
    if (worker_.busy()) add(finish(now));
    add(purgeNow(std::exchange(arriving_, {}), now));
  }
  if (left_.empty() || worker_.busy() || waiting_) return progress;
  if (thread_ == Thread::Loop) {
    add(purgeNow(std::exchange(left_, {}), now));
  } else {
    start();
  }
  return progress;
}

void FlowPurge::start() {
  running_ = std::exchange(left_, {});
  worker_.start({running_.begin(), running_.end()});
}

reconcile::Progress FlowPurge::finish(TimePoint now) {
  const auto deleted = worker_.take();
  return account(std::exchange(running_, {}), deleted, now);
}

reconcile::Progress FlowPurge::purgeNow(std::set<Address> batch, TimePoint now) {
  const std::vector<Address> addresses(batch.begin(), batch.end());
  return account(std::move(batch), driver_.deleteFlows(addresses), now);
}

reconcile::Progress FlowPurge::account(std::set<Address> batch, const Result<std::size_t>& deleted,
                                       TimePoint now) {
  reconcile::Progress progress;
  if (deleted) {
    failures_ = 0;
    status_.changes.remove += *deleted;
    progress.changed = *deleted;
    return progress;
  }
  log::warn("cannot delete flows of addresses that moved", {{"error", deleted.error().what}});
  status_.lastError = reconcile::TableError{batch.begin()->str(), deleted.error(), now};
  ++status_.errors;
  notBefore_ = now + reconcile::backoffDelay({}, ++failures_, jitter_);
  waiting_ = true;
  progress.failed = batch.size();
  left_.merge(batch);
  return progress;
}

TimePoint FlowPurge::nextDue() const {
  const bool queued = !left_.empty() || !arriving_.empty();
  return queued && !worker_.busy() ? notBefore_ : TimePoint::max();
}

reconcile::TableStatus FlowPurge::status() const {
  auto out = status_;
  out.name = name_;
  out.inDoubt = false;  // there is nothing to list
  out.pending = left_.size() + arriving_.size() + running_.size();
  out.failing = waiting_ ? out.pending : 0;
  return out;
}

std::vector<reconcile::PlannedChange> FlowPurge::plan() const {
  std::vector<reconcile::PlannedChange> out;
  for (const auto* addresses : {&left_, &arriving_, &running_}) {
    for (const auto& address : *addresses) out.push_back({Op::Remove, "flows of " + address.str()});
  }
  reconcile::sortByText(out);
  return out;
}

std::vector<Address> returning(const controllers::DesiredChange& change, const FlowPurge& purge) {
  std::vector<Address> out;
  for (const auto& [set, members] : change.members) {
    if (!isLocalSet(set)) continue;
    for (const auto& member : members.added) {
      if (purge.purging(member.net.address)) out.push_back(member.net.address);
    }
  }
  return out;
}

}  // namespace margay::agent
