#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "api/kubernetes/kubernetes_client.h"

namespace margay::api {

struct WatchPlanOptions {
  /// Between attempts while the server is away: doubled from the first to the last, each time by
  /// chance between the half and the whole of it.
  std::chrono::milliseconds firstRetry{500};
  std::chrono::milliseconds lastRetry{15'000};
  /// A kind that the server does not have is asked for again after this or up to a third less.
  std::chrono::milliseconds absentRetry{30'000};
  /// A watch works when it has given an event, or has been open for this long.
  std::chrono::milliseconds shortWatch{1'000};
};

/// What to do next for one kind: list, watch, or wait; from what happened so far. No I/O, no clock.
/// One thread.
class WatchPlan {
 public:
  enum class What : std::uint8_t { List, Watch };
  struct Step {
    What what = What::List;
    std::chrono::milliseconds wait{0};  ///< before it
  };

  WatchPlan(WatchPlanOptions options, std::uint32_t seed) : options_(options), chance_(seed) {}

  [[nodiscard]] Step next() const { return {listNeeded_ ? What::List : What::Watch, wait_}; }
  /// The wait of the step is over.
  void waited() { wait_ = {}; }
  /// Somebody wants a new list, at once.
  void listAgain();
  void listed();
  /// The watch works.
  void heard();
  /// The watch has come to its end as agreed, `lived` after it was opened.
  void watchEnded(std::chrono::milliseconds lived);
  void failed(const KubernetesError& error);

  /// Whether the last failure is to be told: it was not the first in a row, or nothing is known
  /// yet. A connection that is lost once is not worth a word.
  [[nodiscard]] bool isAway() const { return away_; }

 private:
  std::chrono::milliseconds backoff();
  std::chrono::milliseconds between(std::chrono::milliseconds low, std::chrono::milliseconds high);

  const WatchPlanOptions options_;
  std::minstd_rand chance_;
  bool listNeeded_ = true;
  bool everListed_ = false;
  bool away_ = false;
  std::uint32_t failures_ = 0;  // in a row
  std::chrono::milliseconds wait_{0};
};

}  // namespace margay::api
