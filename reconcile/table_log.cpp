#include "reconcile/table_log.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace margay::reconcile {

void OpCounts::count(Op op) {
  switch (op) {
    case Op::Add:
      ++add;
      return;
    case Op::Replace:
      ++replace;
      return;
    case Op::Remove:
      ++remove;
      return;
  }
}

void sortByText(std::vector<PlannedChange>& plan) {
  std::sort(plan.begin(), plan.end(), [](const PlannedChange& a, const PlannedChange& b) {
    return std::tie(a.text, a.op) < std::tie(b.text, b.op);
  });
}

Reaction reactionTo(const Error& error, Op op) {
  switch (error.code) {
    case Errc::Stale:
    case Errc::Interrupted:
      return Reaction::Relist;
    case Errc::Invalid:
    case Errc::Unsupported:
      return Reaction::Wait;
    case Errc::NotFound:
      return op == Op::Remove ? Reaction::Done : Reaction::Retry;
    case Errc::Transient:
    case Errc::Bug:
      return Reaction::Retry;
  }
  return Reaction::Retry;
}

TableLog::TableLog(std::string table) : table_(std::move(table)) {}

void TableLog::repaired(TimePoint now) {
  ++drift_;
  lastRepair_ = now;
}

void TableLog::failed(std::string key, const Error& error, TimePoint now) {
  ++errors_;
  lastError_ = TableError{std::move(key), error, now};
}

void TableLog::endStep(std::size_t failures) {
  if (failures == 0 || !lastError_) {
    logged_.clear();
    return;
  }
  if (logged_ == lastError_->error.what) return;
  logged_ = lastError_->error.what;
  log::warn("table changes failed", {{"table", table_},
                                     {"failed", failures},
                                     {"object", lastError_->key},
                                     {"error", lastError_->error.what}});
}

TableStatus TableLog::status() const {
  TableStatus out;
  out.name = table_;
  out.lastError = lastError_;
  out.lastRepair = lastRepair_;
  out.lastList = lastList_;
  out.drift = drift_;
  out.errors = errors_;
  out.changes = changes_;
  return out;
}

}  // namespace margay::reconcile
