#pragma once

#include <memory>
#include <string>

#include "api/config/parameters.h"
#include "api/server/http.h"
#include "base/result.h"
#include "metrics/metrics.h"

namespace margay::agent {

class Daemon;

/// What answers from outside: each from threads of its own, until it is destroyed.
struct Servers {
  std::unique_ptr<api::HttpServer> control;   ///< margay.sock, for margayctl
  std::unique_ptr<api::HttpServer> health;    ///< none unless HealthEnabled
  std::unique_ptr<api::HttpServer> exporter;  ///< none unless PrometheusMetricsEnabled
};

/// `daemon` and `metrics` must outlive the servers. The error names the parameters of the address
/// that is taken.
Result<Servers> startServers(Daemon& daemon, const metrics::Metrics& metrics,
                             const api::Parameters& parameters, const std::string& runDir);

}  // namespace margay::agent
