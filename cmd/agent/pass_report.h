#pragma once

#include <set>
#include <span>
#include <string>

#include "cmd/agent/remarks.h"
#include "cmd/agent/source_states.h"
#include "controllers/node/node_controller.h"
#include "metrics/metrics.h"
#include "reconcile/passes.h"

namespace margay::agent {

/// "filter (IPv4): 14, ipset: 3 and 1 failed": the tables in which a pass changed something or
/// failed.
[[nodiscard]] std::string changesByTable(const reconcile::PassReport& pass);

/// What a pass did, in metrics and a line of the log. The loop's thread.
class PassReporter {
 public:
  explicit PassReporter(metrics::Metrics& metrics) : metrics_(metrics) {}
  void report(const reconcile::PassReport& pass, const controllers::NodeController& controller,
              const SourceStates& sources, std::span<const Remark> remarks);

 private:
  void reportInvalid(const SourceStates& sources, std::span<const Remark> remarks);

  metrics::Metrics& metrics_;
  std::set<std::string> invalidKinds_;  // of which a gauge exists
};

}  // namespace margay::agent
