#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cmd/agent/notice_log.h"
#include "cmd/agent/source_states.h"
#include "controllers/node/node_controller.h"
#include "metrics/metrics.h"
#include "reconcile/passes.h"

namespace margay::agent {

/// "filter (IPv4): 14, ipset: 3 and 1 failed": the tables in which a pass changed something or
/// failed.
[[nodiscard]] std::string changesByTable(const reconcile::PassReport& pass);

/// What a pass did, in metrics and a line of the log. A pass that found nothing new costs the same
/// however large the cluster is and however many objects cannot be used. The loop's thread.
class PassReporter {
 public:
  explicit PassReporter(metrics::Metrics& metrics) : metrics_(metrics) {}
  void report(const reconcile::PassReport& pass, const controllers::NodeController& controller,
              const SourceStates& sources, const NoticeLog& notices);

 private:
  void reportSources(const SourceStates& sources);
  void reportInvalid(const SourceStates& sources, const NoticeLog& notices);

  metrics::Metrics& metrics_;
  std::set<std::string> invalidKinds_;  // of which a gauge exists
  // Versions of the states and of the notices that the metrics tell of.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> reported_;
};

}  // namespace margay::agent
