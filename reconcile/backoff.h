#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace margay::reconcile {

/// Numbers that spread retries and audits. One thread.
class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) : engine_(seed) {}
  /// `period`, less up to `share` of it (0 to 1).
  [[nodiscard]] Duration shorten(Duration period, double share);

 private:
  std::mt19937_64 engine_;
};

struct BackoffOptions {
  Duration initial = std::chrono::milliseconds(100);
  Duration cap = std::chrono::seconds(30);
  double jitter = 0.25;  ///< a delay is shortened by up to this share
  /// Retries fall on multiples of this, so that many failures share a pass.
  Duration grid = std::chrono::milliseconds(20);
};

/// The wait after failure number `failures` in a row (from 1): doubles from `initial` up to `cap`.
[[nodiscard]] Duration backoffDelay(const BackoffOptions& options, unsigned failures,
                                    Jitter& jitter);

/// When each failing key is to be tried again. Changes cost O(log due times). One thread.
template <class Key, class Hash = std::hash<Key>>
class Backoff {
 public:
  Backoff(BackoffOptions options, Jitter& jitter) : options_(options), jitter_(&jitter) {}

  /// `key` failed at `now`: returns when to try it again.
  TimePoint fail(const Key& key, TimePoint now) {
    State& state = keys_[key];
    ++state.failures;
    const TimePoint until = onGrid(now + backoffDelay(options_, state.failures, *jitter_));
    if (until != state.until) due_[until].push_back(key);
    state.until = until;
    return until;
  }

  /// `key` succeeded or does not matter any more: its next failure is a first one.
  void clear(const Key& key) { keys_.erase(key); }

  /// Keys whose time has come, each once, in order of time. They keep their number of failures.
  std::vector<Key> takeDue(TimePoint now) {
    std::vector<Key> out;
    while (!due_.empty() && due_.begin()->first <= now) {
      for (Key& key : due_.begin()->second) {
        const auto found = keys_.find(key);
        if (found == keys_.end() || found->second.until != due_.begin()->first) continue;
        found->second.until = TimePoint{};
        out.push_back(std::move(key));
      }
      due_.erase(due_.begin());
    }
    return out;
  }

  /// When `takeDue` may have something; TimePoint::max() if nothing waits.
  [[nodiscard]] TimePoint next() const {
    return keys_.empty() || due_.empty() ? TimePoint::max() : due_.begin()->first;
  }
  [[nodiscard]] bool waiting(const Key& key) const {
    const auto found = keys_.find(key);
    return found != keys_.end() && found->second.until != TimePoint{};
  }
  /// Keys that have failed and were not cleared.
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  struct State {
    unsigned failures = 0;
    TimePoint until{};
  };
  [[nodiscard]] TimePoint onGrid(TimePoint time) const {
    const Duration past = time.time_since_epoch() % options_.grid;
    return past == Duration::zero() ? time : time + (options_.grid - past);
  }

  BackoffOptions options_;
  Jitter* jitter_;
  std::unordered_map<Key, State, Hash> keys_;
  std::map<TimePoint, std::vector<Key>> due_;  // may name keys that were cleared or wait for later
};

}  // namespace margay::reconcile
