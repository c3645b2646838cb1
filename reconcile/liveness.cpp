#include "reconcile/liveness.h"

namespace margay::reconcile {

bool Liveness::alive(std::uint64_t progress, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (progress != seen_ || at_ == TimePoint{}) {
    seen_ = progress;
    at_ = now;
  }
  return now - at_ < kHangs;
}

}  // namespace margay::reconcile
