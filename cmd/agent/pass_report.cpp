#include "cmd/agent/pass_report.h"

#include "base/log.h"

namespace margay::agent {

void PassReporter::report(const reconcile::PassReport& pass,
                          const controllers::NodeController& controller,
                          const SourceStates& sources, const NoticeLog& notices) {
  metrics_.reconcileDuration("kernel", pass.took - pass.computing);
  const auto counts = controller.engine().counts();
  metrics_.endpoints("local", counts.localEndpoints);
  metrics_.endpoints("cluster", counts.clusterEndpoints);
  metrics_.policies("active", counts.activePolicies);
  metrics_.policies("all", counts.policies);
  const std::pair versions(sources.version(), notices.version());
  if (reported_ != versions) {
    reported_ = versions;
    reportSources(sources);
    reportInvalid(sources, notices);
  }
  if (pass.changed > 0) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(pass.took);
    log::info(pass.failed == 0 ? "converged" : "changed in part; the rest is tried again",
              {{"changed", pass.changed},
               {"failed", pass.failed},
               {"tables", changesByTable(pass)},
               {"us", microseconds.count()}});
  }
}

std::string changesByTable(const reconcile::PassReport& pass) {
  std::string out;
  for (const auto& table : pass.tables) {
    if (table.changed == 0 && table.failed == 0) continue;
    out += (out.empty() ? "" : ", ") + table.table + ": " + std::to_string(table.changed);
    if (table.failed > 0) out += " and " + std::to_string(table.failed) + " failed";
  }
  return out;
}

void PassReporter::reportSources(const SourceStates& sources) {
  for (const auto& [name, state] : sources.all()) {
    metrics_.sourceConnected(name, state.connected);
    metrics_.sourceResyncs(name, state.resyncs);
    for (const auto& [kind, total] : state.events)
      metrics_.sourceEvents(name, api::kindText(kind), total);
  }
}

void PassReporter::reportInvalid(const SourceStates& sources, const NoticeLog& notices) {
  auto invalid = invalidByKind(sources.all(), notices.newest());
  for (const auto& kind : invalidKinds_) invalid.try_emplace(kind, 0);
  for (const auto& [kind, count] : invalid) {
    invalidKinds_.insert(kind);
    metrics_.invalidObjects(kind, count);
  }
}

}  // namespace margay::agent
