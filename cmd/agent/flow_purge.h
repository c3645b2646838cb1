#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "cmd/agent/purge_thread.h"
#include "controllers/node/desired_change.h"
#include "dataplane/drivers.h"
#include "reconcile/backoff.h"
#include "reconcile/table.h"

namespace margay::agent {

/// Conntrack entries of addresses that left an interface: they must be gone before the address is
/// somebody else's. A table with nothing to keep, only things to remove.
///
/// To find the flows of an address the kernel walks through all flows of the host, which takes tens
/// of milliseconds among 100,000: so that is done on a thread of its own, and a pass waits for it
/// only where an address arrives elsewhere. One batch of addresses at a time.
class FlowPurge final : public reconcile::Table {
 public:
  enum class Thread : bool { Loop, Own };
  /// With `Thread::Loop` every purge is part of its pass.
  FlowPurge(dataplane::ConntrackDriver& driver, reconcile::Jitter& jitter, Thread thread)
      : driver_(driver), jitter_(jitter), thread_(thread), worker_(driver) {}

  /// Readable when a batch has ended, until `readEnded`: time for a pass.
  [[nodiscard]] int fd() const { return worker_.fd(); }
  void readEnded() const { worker_.readEnded(); }

  /// `address` has left its interface.
  void left(const Address& address) {
    if (!arriving_.contains(address)) left_.insert(address);
  }
  /// The same for an address that is to have an interface at the end of this pass: the pass purges
  /// before it goes on.
  void arriving(const Address& address) {
    left_.erase(address);
    arriving_.insert(address);
  }
  /// Its flows are not known to be gone yet.
  [[nodiscard]] bool purging(const Address& address) const {
    return left_.contains(address) || running_.contains(address) || arriving_.contains(address);
  }

  [[nodiscard]] const std::string& name() const override { return name_; }
  void requestRelist() override {}
  void suspect(TimePoint) override {}
  Result<void> refresh(TimePoint now, reconcile::Checks checks) override;
  [[nodiscard]] std::optional<reconcile::Phase> nextPhase(reconcile::Phase from,
                                                          reconcile::Removals removals) override;
  reconcile::Progress apply(reconcile::Phase phase, reconcile::Removals removals,
                            TimePoint now) override;
  [[nodiscard]] TimePoint nextDue() const override;
  [[nodiscard]] reconcile::TableStatus status() const override;
  [[nodiscard]] std::vector<reconcile::PlannedChange> plan() const override;

 private:
  void start();
  reconcile::Progress purgeNow(std::set<Address> batch, TimePoint now);
  reconcile::Progress finish(TimePoint now);
  reconcile::Progress account(std::set<Address> batch, const Result<std::size_t>& deleted,
                              TimePoint now);

  std::string name_ = "conntrack";
  dataplane::ConntrackDriver& driver_;  // the batch's while one runs
  reconcile::Jitter& jitter_;
  Thread thread_;
  std::set<Address> left_;
  std::set<Address> arriving_;
  std::set<Address> running_;
  TimePoint notBefore_{};
  bool waiting_ = false;
  unsigned failures_ = 0;
  reconcile::TableStatus status_;
  PurgeThread worker_;
};

/// The addresses that `change` lets send and of which `purge` still has flows to delete.
[[nodiscard]] std::vector<Address> returning(const controllers::DesiredChange& change,
                                             const FlowPurge& purge);

}  // namespace margay::agent
