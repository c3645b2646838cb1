#include "cmd/agent/control.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cmd/agent/explain.h"

namespace margay::agent {
namespace {

api::HttpResponse text(int status, const std::string& line) {
  return {status, "text/plain", line + "\n"};
}
api::HttpResponse json(const Json& value) {
  return {200, "application/json", value.dump() + "\n"};
}

/// The answer of the loop in JSON, rendered on this thread.
template <class Copy, class Render>
api::HttpResponse rendered(Daemon& daemon, std::function<Copy()> copy, Render render) {
  const auto got = daemon.ask<Copy>(std::move(copy));
  if (!got) return text(503, "margay-node is busy: its loop did not answer within 20 s");
  return json(render(*got));
}

api::HttpResponse inspect(Daemon& daemon, const std::string& what) {
  // A switch of the rule backend makes the controller anew: only the loop's thread may look at it.
  const auto engine = [&]() -> const controllers::PolicyEngine& {
    return daemon.controller().engine();
  };
  using Endpoints = std::vector<std::shared_ptr<const controllers::LocalEndpoint>>;
  if (what == "endpoints")
    return rendered<Endpoints>(
        daemon, [&] { return engine().endpoints(); }, endpointsJson);
  if (what == "sets")
    return rendered<std::pair<std::vector<controllers::Membership::View>, controllers::Dispatch>>(
        daemon,
        [&] { return std::pair(engine().sets(), daemon.controller().options().statics.dispatch); },
        [](const auto& copy) { return setsJson(copy.first, copy.second); });
  if (what == "policies")
    return rendered<std::vector<controllers::PolicyView>>(
        daemon, [&] { return engine().policies(); }, policiesJson);
  if (what == "groups")
    return rendered<std::vector<controllers::GroupView>>(
        daemon, [&] { return engine().groups(); }, groupsJson);
  return text(
      404, "there is nothing to inspect under '" + what + "': endpoints, sets, policies or groups");
}

std::string valueOf(const api::HttpRequest& request, const std::string& key) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string() : found->second;
}

api::HttpResponse explainAnswer(Daemon& daemon, const api::HttpRequest& request) {
  const auto node = valueOf(request, "node");
  const auto& own = daemon.nodeName();
  if (!node.empty() && node != own) {
    return text(400, "--node: this agent is of node " + own +
                         " and answers for no other: ask the "
                         "agent on " +
                         node + ", or use --data-dir to ask none");
  }
  const auto objects =
      daemon.ask<controllers::Objects>([&] { return daemon.controller().objects(); });
  if (!objects) return text(503, "margay-node is busy: its loop did not answer within 20 s");
  const auto got =
      explain(*objects, {valueOf(request, "from"), valueOf(request, "to"),
                         valueOf(request, "protocol"), valueOf(request, "port"),
                         valueOf(request, "sourcePort"), valueOf(request, "icmpType"), node});
  if (!got) return text(400, got.error().what);
  return json(*got);
}

api::HttpResponse waitAnswer(Daemon& daemon, const api::HttpRequest& request) {
  const auto value = valueOf(request, "timeoutMs");
  long milliseconds = 30'000;
  const auto [end, error] =
      std::from_chars(value.data(), value.data() + value.size(), milliseconds);
  if (!value.empty() &&
      (error != std::errc{} || end != value.data() + value.size() || milliseconds < 0))
    return text(400, "timeoutMs: '" + value + "' is not a number");
  const auto result =
      daemon.waitConverged(std::chrono::milliseconds(std::min(milliseconds, 3'600'000L)));
  return json({{"done", result.done}, {"missing", result.missing}});
}

}  // namespace

api::HttpResponse answerControl(Daemon& daemon, const api::HttpRequest& request) {
  constexpr std::string_view kInspect = "/v1/inspect/";
  if (request.method != "GET") return text(400, "only GET is understood");
  if (request.path == "/v1/status")
    return rendered<StatusView>(
        daemon, [&] { return daemon.statusView(); }, statusJson);
  if (request.path == "/v1/plan")
    return rendered<std::vector<TablePlan>>(
        daemon, [&] { return daemon.pendingPlans(); }, planJson);
  if (request.path == "/v1/config")
    return rendered<api::Parameters>(
        daemon, [&] { return daemon.parameters(); }, configJson);
  if (request.path == "/v1/wait") return waitAnswer(daemon, request);
  if (request.path == "/v1/explain") return explainAnswer(daemon, request);
  if (request.path.starts_with(kInspect))
    return inspect(daemon, request.path.substr(kInspect.size()));
  return text(404, "there is no " + request.path);
}

api::HttpResponse answerHealth(const Daemon& daemon, const api::HttpRequest& request) {
  const bool alive = daemon.alive();
  if (request.path == "/liveness")
    return alive ? text(200, "live") : text(503, "the loop has not moved for 30 s");
  if (request.path != "/readiness") return text(404, "there are /liveness and /readiness");
  if (!alive) return text(503, "the loop has not moved for 30 s");
  const auto why = daemon.notReadyBecause();
  return why.empty() ? text(200, "ready") : text(503, why);
}

api::HttpResponse answerMetrics(const metrics::Metrics& metrics, const api::HttpRequest& request) {
  if (request.path != "/metrics" && request.path != "/metrics/")
    return text(404, "there is /metrics");
  if (request.method != "GET") return text(405, "/metrics is to be read: GET");
  return {200, std::string(metrics::kTextType), metrics.text()};
}

}  // namespace margay::agent
