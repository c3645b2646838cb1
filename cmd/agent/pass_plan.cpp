#include "cmd/agent/pass_plan.h"

#include <utility>

namespace margay::agent {

PassPlan::Work PassPlan::begin() {
  return std::exchange(collecting_, false) ? Work::Collect : Work::Flush;
}

PassPlan::Next PassPlan::ended(std::size_t left, std::optional<TimePoint> nextCollect,
                               TimePoint now) {
  if (moved_ == Moved::Yes) return {.atOnce = true, .at = std::nullopt};
  if (left != 0 || !nextCollect) return {};
  if (*nextCollect <= now) {
    collecting_ = true;
    return {.atOnce = true, .at = std::nullopt};
  }
  if (std::exchange(scheduled_, true)) return {};
  return {.atOnce = false, .at = nextCollect};
}

void PassPlan::collectDue() {
  scheduled_ = false;
  collecting_ = true;
}

}  // namespace margay::agent
