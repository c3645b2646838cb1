#include "reconcile/backoff.h"

#include <algorithm>

namespace margay::reconcile {

Duration Jitter::shorten(Duration period, double share) {
  const double cut = share * std::generate_canonical<double, 32>(engine_);
  return period - std::chrono::duration_cast<Duration>(std::chrono::duration<double>(period) * cut);
}

Duration backoffDelay(const BackoffOptions& options, unsigned failures, Jitter& jitter) {
  Duration delay = options.initial;
  for (unsigned i = 1; i < failures && delay < options.cap; ++i) delay *= 2;
  return jitter.shorten(std::min(delay, options.cap), options.jitter);
}

}  // namespace margay::reconcile
