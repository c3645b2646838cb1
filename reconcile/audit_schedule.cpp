#include "reconcile/audit_schedule.h"

#include <algorithm>

namespace margay::reconcile {

AuditSchedule::AuditSchedule(AuditOptions options, BackoffOptions backoff, Jitter& jitter)
    : options_(options), backoff_(backoff), jitter_(&jitter) {}

TimePoint AuditSchedule::wholePeriod(TimePoint time) const {
  return time - time.time_since_epoch() % options_.checkPeriod;
}

void AuditSchedule::suspect(TimePoint now) {
  suspect_ = true;
  listAt_ = std::min(listAt_, std::max({now, foreignFrom_, notBefore_}));
}

void AuditSchedule::checked(Fingerprint seen, TimePoint now) {
  checkAt_ = nextCheck(now);
  if (expected_ != seen) suspect(now);
}

void AuditSchedule::checkAgain(TimePoint now) {
  checkAt_ = nextCheck(now);
}

void AuditSchedule::listed(bool whole, TimePoint now) {
  failures_ = 0;
  requested_ = false;
  notBefore_ = TimePoint{};
  const TimePoint due = now + jitter_->shorten(options_.fullPeriod, options_.jitter);
  const TimePoint shared = wholePeriod(due);
  listAt_ = shared > now ? shared : due;
  checkAt_ = nextCheck(now);
  foreignFrom_ = suspect_ && whole ? now + options_.foreignInterval : TimePoint{};
  suspect_ = false;
}

void AuditSchedule::listFailed(TimePoint now) {
  notBefore_ = now + backoffDelay(backoff_, ++failures_, *jitter_);
  listAt_ = notBefore_;
  checkAt_ = std::max(checkAt_, notBefore_);
}

TimePoint AuditSchedule::nextDue(Checks checks) const {
  return checks == Checks::Yes ? std::min(listAt_, checkAt_) : listAt_;
}

}  // namespace margay::reconcile
