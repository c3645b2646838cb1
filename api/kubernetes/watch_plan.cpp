#include "api/kubernetes/watch_plan.h"

#include <algorithm>

namespace margay::api {

using std::chrono::milliseconds;

namespace {

/// So many in a row may be those of a server that is about to end; more are of no use to anybody.
constexpr std::uint32_t kShortWatches = 3;

}  // namespace

milliseconds WatchPlan::between(milliseconds low, milliseconds high) {
  std::uniform_int_distribution<milliseconds::rep> chance(low.count(), high.count());
  return milliseconds(chance(chance_));
}

milliseconds WatchPlan::backoff() {
  const std::uint32_t doublings = std::min(failures_ > 0 ? failures_ - 1 : 0, 16U);
  const milliseconds whole = std::min(options_.firstRetry * (1U << doublings), options_.lastRetry);
  return between(whole / 2, whole);
}

void WatchPlan::listAgain() {
  listNeeded_ = true;
  wait_ = {};
}

void WatchPlan::listed() {
  listNeeded_ = false;
  everListed_ = true;
  away_ = false;
  // Failures are forgotten when a watch works too: a server may list and refuse to watch.
}

void WatchPlan::heard() {
  failures_ = 0;
  away_ = false;
}

void WatchPlan::watchEnded(milliseconds lived) {
  if (lived >= options_.shortWatch) return heard();
  ++failures_;
  away_ = away_ || failures_ > kShortWatches;
  wait_ = backoff();
}

void WatchPlan::failed(const KubernetesError& error) {
  using Why = KubernetesError::Why;
  if (error.why == Why::Interrupted) return;
  if (error.why == Why::Absent) {
    listNeeded_ = true;
    wait_ = between(options_.absentRetry * 2 / 3, options_.absentRetry);
    return;
  }
  ++failures_;
  listNeeded_ = listNeeded_ || error.why == Why::Expired;
  // One refusal may be that of a server that has just started and does not know its roles yet.
  away_ = error.why != Why::Expired && (!everListed_ || failures_ > 1);
  // Who was asked to wait does not come at the same moment as all others either.
  wait_ = std::max(backoff(), error.wait.count() > 0 ? between(error.wait, error.wait * 5 / 4)
                                                     : milliseconds(0));
}

}  // namespace margay::api
