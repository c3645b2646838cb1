#include "reconcile/relist_on_notice.h"

#include <utility>

namespace margay::reconcile {

RelistOnNotice::RelistOnNotice(Table& table, Timers& timers, std::function<void()> wake,
                               Duration echoWait)
    : table_(table), timers_(timers), wake_(std::move(wake)), echoWait_(echoWait) {}

void RelistOnNotice::noticed(TimePoint now) {
  const auto changes = table_.status().changes.total();
  if (std::exchange(changes_, changes) == changes) {
    table_.requestRelist();
    return;
  }
  if (std::exchange(scheduled_, true)) return;
  timers_.at(now + echoWait_, [this] {
    scheduled_ = false;
    table_.requestRelist();
    wake_();
  });
}

}  // namespace margay::reconcile
