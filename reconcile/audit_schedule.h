#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "reconcile/backoff.h"

namespace margay::reconcile {

struct AuditOptions {
  Duration fullPeriod = std::chrono::seconds(30);  ///< everything is read back at least so often
  double jitter = 0.1;                             ///< fullPeriod is shortened by up to this share
  Duration checkPeriod = std::chrono::seconds(1);  ///< of fingerprints
  /// Between lists on suspicion, where such a list found our content whole: somebody else
  /// keeps changing the table.
  Duration foreignInterval = std::chrono::seconds(5);
};

/// A cheap number that differs whenever the content probably does.
using Fingerprint = std::uint64_t;

/// When a table is checked and listed. Both are due at whole check periods of the clock, the same
/// for all tables, so that the tables of a loop share a pass and wake it once a period. Pure: it is
/// told the time. One thread.
class AuditSchedule {
 public:
  AuditSchedule(AuditOptions options, BackoffOptions backoff, Jitter& jitter);

  /// List as soon as possible, but not before the wait after a failed list is over.
  void request() {
    requested_ = true;
    listAt_ = std::min(listAt_, notBefore_);
  }
  /// A list was asked for, or failed, and none has succeeded since.
  [[nodiscard]] bool inDoubt() const { return requested_ || failures_ != 0; }
  [[nodiscard]] bool listDue(TimePoint now) const { return now >= listAt_; }
  [[nodiscard]] bool checkDue(TimePoint now) const { return now >= checkAt_; }

  /// Somebody may have changed the table: list as soon as foreignInterval permits.
  void suspect(TimePoint now);
  /// The fingerprint was read; one that is not expected is a reason to suspect.
  void checked(Fingerprint seen, TimePoint now);
  /// The next check is a period away at most.
  void checkAgain(TimePoint now);
  /// Our own changes made the fingerprint what it is.
  void expect(std::optional<Fingerprint> fingerprint) { expected_ = fingerprint; }

  /// A list was read; `whole`: it had all that we had put there, as we had put it.
  void listed(bool whole, TimePoint now);
  void listFailed(TimePoint now);

  /// When the next list is due; with `checks`, also when the next check is.
  enum class Checks : bool { No, Yes };
  [[nodiscard]] TimePoint nextDue(Checks checks) const;

 private:
  /// The last whole check period that is not after `time`.
  [[nodiscard]] TimePoint wholePeriod(TimePoint time) const;
  [[nodiscard]] TimePoint nextCheck(TimePoint now) const {
    return wholePeriod(now) + options_.checkPeriod;
  }

  AuditOptions options_;
  BackoffOptions backoff_;
  Jitter* jitter_;
  TimePoint listAt_{};       // a list is due from the beginning
  TimePoint notBefore_{};    // the wait after a failed list
  TimePoint foreignFrom_{};  // earliest list that a fingerprint may ask for
  TimePoint checkAt_{};
  unsigned failures_ = 0;
  bool requested_ = true;
  bool suspect_ = false;  // `suspect` was called since the last list
  std::optional<Fingerprint> expected_;
};

}  // namespace margay::reconcile
