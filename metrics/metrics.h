#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace margay::metrics {

/// The Content-Type of `Metrics::text`.
constexpr std::string_view kTextType = "text/plain; version=0.0.4; charset=utf-8";

/// The agent's Prometheus metrics. All functions may be called on any thread; each costs a map
/// look-up of a short string and an atomic operation. Labels come only from closed sets: every
/// series that can exist for a table is there, with 0, from the start.
class Metrics {
 public:
  /// `version` and `backend` become labels of margay_build_info.
  explicit Metrics(const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void reconcileDuration(std::string_view controller, std::chrono::duration<double> seconds);
  void reconcileError(std::string_view controller);
  /// op: "add", "replace", "remove", "commit".
  void changes(std::string_view table, std::string_view op, std::uint64_t count);
  void drift(std::string_view table, std::uint64_t count);
  void entries(std::string_view table, std::size_t desired, std::size_t observed);
  void sourceConnected(std::string_view source, bool connected);
  /// Totals since the start, as the source counts them.
  void sourceEvents(std::string_view source, std::string_view kind, std::uint64_t total);
  void sourceResyncs(std::string_view source, std::uint64_t total);
  void updateLatency(std::chrono::duration<double> seconds);
  /// scope: "local" or "cluster" for endpoints, "active" or "all" for policies.
  void endpoints(std::string_view scope, std::size_t count);
  void policies(std::string_view scope, std::size_t count);
  void invalidObjects(std::string_view kind, std::size_t count);

  /// In Prometheus' text format, see kTextType.
  [[nodiscard]] std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace margay::metrics
