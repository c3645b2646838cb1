#pragma once

#include <set>

#include "dataplane/drivers.h"
#include "reconcile/backoff.h"
#include "reconcile/table.h"

namespace margay::agent {

/// Conntrack entries of addresses that left an interface: they must be gone before the address is
/// somebody else's. A table with nothing to keep, only things to remove.
class FlowPurge final : public reconcile::Table {
 public:
  FlowPurge(dataplane::ConntrackDriver& driver, reconcile::Jitter& jitter)
      : driver_(driver), jitter_(jitter) {}

  void add(const Address& address) { addresses_.insert(address); }

  [[nodiscard]] const std::string& name() const override { return name_; }
  void requestRelist() override {}
  void suspect(TimePoint) override {}
  Result<void> refresh(TimePoint now) override;
  [[nodiscard]] std::optional<reconcile::Phase> nextPhase(reconcile::Phase from,
                                                          reconcile::Removals removals) override;
  reconcile::Progress apply(reconcile::Phase phase, reconcile::Removals removals,
                            TimePoint now) override;
  [[nodiscard]] TimePoint nextDue() const override {
    return addresses_.empty() ? TimePoint::max() : notBefore_;
  }
  [[nodiscard]] reconcile::TableStatus status() const override;
  [[nodiscard]] std::vector<reconcile::PlannedChange> plan() const override;

 private:
  std::string name_ = "conntrack";
  dataplane::ConntrackDriver& driver_;
  reconcile::Jitter& jitter_;
  std::set<Address> addresses_;
  TimePoint notBefore_{};
  bool waiting_ = false;
  unsigned failures_ = 0;
  reconcile::TableStatus status_;
};

}  // namespace margay::agent
