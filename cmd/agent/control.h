#pragma once

#include "api/server/http.h"
#include "cmd/agent/daemon.h"
#include "metrics/metrics.h"

namespace margay::agent {

/// The control socket: GET /v1/status, plan, config, wait, explain,
/// inspect/{endpoints,sets,policies,groups}. Runs on a thread of the server; asks the loop for
/// copies and renders them here.
api::HttpResponse answerControl(Daemon& daemon, const api::HttpRequest& request);

/// GET /liveness and /readiness: 200 or 503, with a line that says why.
api::HttpResponse answerHealth(const Daemon& daemon, const api::HttpRequest& request);

/// GET /metrics.
api::HttpResponse answerMetrics(const metrics::Metrics& metrics, const api::HttpRequest& request);

}  // namespace margay::agent
