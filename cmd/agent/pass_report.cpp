#include "cmd/agent/pass_report.h"

#include <map>

#include "base/log.h"

namespace margay::agent {

void PassReporter::report(const reconcile::PassReport& pass,
                          const controllers::NodeController& controller,
                          const SourceStates& sources) {
  metrics_.reconcileDuration("kernel", pass.took - pass.computing);
  const auto counts = controller.engine().counts();
  metrics_.endpoints("local", counts.localEndpoints);
  metrics_.endpoints("cluster", counts.clusterEndpoints);
  metrics_.policies("active", counts.activePolicies);
  metrics_.policies("all", counts.policies);
  for (const auto& [name, state] : sources.all()) {
    metrics_.sourceConnected(name, state.connected);
    metrics_.sourceResyncs(name, state.resyncs);
    for (const auto& [kind, total] : state.events)
      metrics_.sourceEvents(name, api::kindText(kind), total);
  }
  reportInvalid(controller, sources);
  if (pass.changed > 0) {
    log::info("converged", {{"changed", pass.changed},
                            {"failed", pass.failed},
                            {"ms", std::chrono::duration<double, std::milli>(pass.took).count()}});
  }
}

void PassReporter::reportInvalid(const controllers::NodeController& controller,
                                 const SourceStates& sources) {
  std::map<std::string, std::size_t> invalid;
  for (const auto& kind : invalidKinds_) invalid[kind] = 0;
  for (const auto& [name, state] : sources.all()) {
    for (const auto& object : state.invalid) ++invalid[std::string(api::kindText(object.kind))];
  }
  for (const auto& problem : controller.problems()) {
    if (problem.severity == controllers::EndpointProblem::Severity::Error)
      ++invalid[std::string(api::kindText(problem.endpoint.kind))];
  }
  for (const auto& [kind, count] : invalid) {
    invalidKinds_.insert(kind);
    metrics_.invalidObjects(kind, count);
  }
}

}  // namespace margay::agent
