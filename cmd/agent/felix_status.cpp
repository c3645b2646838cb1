#include "cmd/agent/felix_status.h"

#include <nlohmann/json.hpp>

#include "base/utc_time.h"

namespace margay::agent {
namespace {

/// Names in keys: '%' and '/' are written as Calico does.
std::string escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == '%')
      out += "%25";
    else if (c == '/')
      out += "%2f";
    else
      out += c;
  }
  return out;
}

std::string endpointKey(const FelixStatusOptions& options, const std::string& ns,
                        const api::EndpointIdentity& identity) {
  return statusPrefix(options) + "workload/" + escaped(identity.orchestrator) + "/" +
         escaped(ns + "/" + identity.workload) + "/endpoint/" + escaped(identity.endpoint);
}

std::string statusValue(const char* status) {
  return std::string(R"({"status":")") + status + R"("})";
}

}  // namespace

FelixStatusOptions felixStatusOptions(const std::string& node, const api::Parameters& parameters) {
  using std::chrono::duration_cast;
  return {.node = node,
          .region = parameters.text("OpenstackRegion"),
          .interval = duration_cast<std::chrono::milliseconds>(
              parameters.duration("ReportingIntervalSecs")),
          .ttl = duration_cast<std::chrono::seconds>(parameters.duration("ReportingTTLSecs")),
          .endpoints = parameters.flag("EndpointReportingEnabled"),
          .endpointDelay = duration_cast<std::chrono::milliseconds>(
              parameters.duration("EndpointReportingDelaySecs"))};
}

std::string statusPrefix(const FelixStatusOptions& options) {
  const std::string region = options.region.empty() ? "no-region" : "region-" + options.region;
  return "/calico/felix/v2/" + region + "/host/" + options.node + "/";
}

std::string statusReport(std::chrono::system_clock::time_point now,
                         std::chrono::duration<double> uptime, bool first) {
  return nlohmann::ordered_json{
      {"time", utcTime(now)}, {"uptime", uptime.count()}, {"first_update", first}}
      .dump();
}

EndpointStatuses endpointStatuses(const FelixStatusOptions& options,
                                  std::span<const controllers::WorkloadInterface> interfaces,
                                  std::span<const controllers::EndpointProblem> problems,
                                  const dataplane::LinkMap& links) {
  EndpointStatuses out;
  for (const auto& interface : interfaces) {
    const auto link = links.find(interface.device);
    const bool up = link != links.end() && link->second.up && link->second.running;
    const auto& endpoint = *interface.endpoint->endpoint;
    out[endpointKey(options, endpoint.ns.str(), endpoint.identity())] =
        statusValue(up ? "up" : "down");
  }
  for (const auto& problem : problems) {
    const auto identity = api::EndpointIdentity::parse(problem.endpoint.name);
    if (problem.severity != controllers::EndpointProblem::Severity::Error || !identity) continue;
    out[endpointKey(options, problem.endpoint.ns.str(), *identity)] = statusValue("error");
  }
  return out;
}

}  // namespace margay::agent
