#include "cmd/agent/nft_transaction.h"

#include "base/log.h"
#include "cmd/agent/phases.h"

namespace margay::agent {

Result<void> NftTransaction::refresh(TimePoint now, reconcile::Checks) {
  status_.lastList = now;
  if (refused_.empty() || now < notBefore_) return {};
  refused_.clear();
  readAgain_();
  return {};
}

std::optional<reconcile::Phase> NftTransaction::nextPhase(reconcile::Phase from,
                                                          reconcile::Removals) {
  if (!driver_.pending()) return std::nullopt;
  if (from <= kTransaction) return kTransaction;
  if (from <= kLateTransaction) return kLateTransaction;
  return std::nullopt;
}

reconcile::Progress NftTransaction::apply(reconcile::Phase phase, reconcile::Removals,
                                          TimePoint now) {
  reconcile::Progress progress;
  if ((phase != kTransaction && phase != kLateTransaction) || !driver_.pending()) return progress;
  const auto refusals = driver_.flush();
  if (refusals.empty()) {
    failures_ = 0;
    return progress;
  }
  for (const auto& refusal : refusals) {
    log::warn("the kernel refused a part of an nf_tables transaction",
              {{"object", refusal.unit.object}, {"error", refusal.error.what}});
    refused_.push_back(refusal.unit.object);
    status_.lastError = reconcile::TableError{refusal.unit.object, refusal.error, now};
    ++status_.errors;
  }
  progress.failed = refusals.size();
  notBefore_ = now + reconcile::backoffDelay({}, ++failures_, jitter_);
  return progress;
}

reconcile::TableStatus NftTransaction::status() const {
  auto out = status_;
  out.name = name_;
  out.inDoubt = false;  // there is nothing to list
  out.pending = refused_.size();
  out.failing = refused_.size();
  return out;
}

std::vector<reconcile::PlannedChange> NftTransaction::plan() const {
  std::vector<reconcile::PlannedChange> out;
  for (const auto& object : refused_) out.push_back({Op::Replace, object});
  return out;
}

}  // namespace margay::agent
