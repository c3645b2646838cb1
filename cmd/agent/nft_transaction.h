#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dataplane/nft_driver.h"
#include "reconcile/backoff.h"
#include "reconcile/table.h"

namespace margay::agent {

/// Brings what the tables of nf_tables collected in a pass into the kernel, at once. The tables
/// took it for done; what the kernel refuses is pending here, and after a wait the tables read the
/// kernel and try again.
class NftTransaction final : public reconcile::Table {
 public:
  /// `readAgain` makes the tables list.
  NftTransaction(dataplane::NftDriver& driver, std::function<void()> readAgain,
                 reconcile::Jitter& jitter)
      : driver_(driver), readAgain_(std::move(readAgain)), jitter_(jitter) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  void requestRelist() override {}
  void suspect(TimePoint) override {}
  Result<void> refresh(TimePoint now, reconcile::Checks checks) override;
  [[nodiscard]] std::optional<reconcile::Phase> nextPhase(reconcile::Phase from,
                                                          reconcile::Removals removals) override;
  reconcile::Progress apply(reconcile::Phase phase, reconcile::Removals removals,
                            TimePoint now) override;
  [[nodiscard]] TimePoint nextDue() const override {
    return refused_.empty() ? TimePoint::max() : notBefore_;
  }
  [[nodiscard]] reconcile::TableStatus status() const override;
  [[nodiscard]] std::vector<reconcile::PlannedChange> plan() const override;

 private:
  std::string name_ = "nf_tables transaction";
  dataplane::NftDriver& driver_;
  std::function<void()> readAgain_;
  reconcile::Jitter& jitter_;
  std::vector<std::string> refused_;  // objects
  TimePoint notBefore_{};
  unsigned failures_ = 0;
  reconcile::TableStatus status_;
};

}  // namespace margay::agent
