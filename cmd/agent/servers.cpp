#include "cmd/agent/servers.h"

#include "cmd/agent/control.h"

namespace margay::agent {
namespace {

/// At `nameHost` and `namePort`, if `nameEnabled` says so.
Result<std::unique_ptr<api::HttpServer>> onTcp(const api::Parameters& parameters,
                                               const std::string& name, const std::string& what,
                                               api::HttpHandler handler) {
  if (!parameters.flag(name + "Enabled")) return std::unique_ptr<api::HttpServer>();
  auto server = api::HttpServer::onTcp(
      parameters.text(name + "Host"), static_cast<std::uint16_t>(parameters.integer(name + "Port")),
      std::move(handler));
  if (!server) return Fail(withContext(server.error(), what));
  return server;
}

}  // namespace

Result<Servers> startServers(Daemon& daemon, const metrics::Metrics& metrics,
                             const api::Parameters& parameters, const std::string& runDir) {
  Servers out;
  auto control = api::HttpServer::onUnix(runDir + "/margay.sock", [&daemon](const auto& request) {
    return answerControl(daemon, request);
  });
  if (!control) return Fail(control.error());
  out.control = std::move(*control);
  auto health = onTcp(parameters, "Health", "health (FELIX_HEALTHHOST, FELIX_HEALTHPORT)",
                      [&daemon](const auto& request) { return answerHealth(daemon, request); });
  if (!health) return Fail(health.error());
  out.health = std::move(*health);
  auto exporter =
      onTcp(parameters, "PrometheusMetrics",
            "metrics (FELIX_PROMETHEUSMETRICSHOST, FELIX_PROMETHEUSMETRICSPORT)",
            [&metrics](const auto& request) { return answerMetrics(metrics, request); });
  if (!exporter) return Fail(exporter.error());
  out.exporter = std::move(*exporter);
  return out;
}

}  // namespace margay::agent
