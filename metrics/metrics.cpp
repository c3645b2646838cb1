#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <sstream>

#include "metrics/process_collector.h"

namespace margay::metrics {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

/// The series of a family by the values of its labels: Family::Add costs 150 ns and allocates.
template <class Metric>
class Series {
 public:
  Series(Family<Metric>& family, std::vector<std::string> labels)
      : family_(family), labels_(std::move(labels)) {}

  template <class... Arguments>
  Metric& at(std::initializer_list<std::string_view> values, Arguments&&... arguments) {
    std::string key;
    for (const auto value : values) key.append(value).push_back('\0');
    const std::lock_guard lock(mutex_);
    auto found = series_.find(key);
    if (found == series_.end()) {
      Labels labels;
      std::size_t i = 0;
      for (const auto value : values) labels.emplace(labels_[i++], value);
      found =
          series_.emplace(key, &family_.Add(labels, std::forward<Arguments>(arguments)...)).first;
    }
    return *found->second;
  }

 private:
  Family<Metric>& family_;
  std::vector<std::string> labels_;
  std::mutex mutex_;
  std::map<std::string, Metric*> series_;
};

void raiseTo(Counter& counter, std::uint64_t total) {
  const double more = static_cast<double>(total) - counter.Value();
  if (more > 0) counter.Increment(more);
}

// From 50 microseconds, what a pod that joins a group costs, to 10 s.
const Histogram::BucketBoundaries kSeconds = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                              0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                              0.5,     1,      2.5,     5,      10};

constexpr std::string_view kTables[] = {"route", "neighbour", "sysctl", "ipset", "iptables"};
constexpr std::string_view kOps[] = {"add", "replace", "remove"};

}  // namespace

struct Metrics::Impl {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::shared_ptr<ProcessCollector> process = std::make_shared<ProcessCollector>();

  Family<Counter>& counterFamily(const char* name, const char* help) const {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
  }
  Family<Gauge>& gaugeFamily(const char* name, const char* help) const {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry);
  }
  Family<Histogram>& histogramFamily(const char* name, const char* help) const {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry);
  }

  Series<Histogram> reconcileSeconds{
      histogramFamily("margay_reconcile_duration_seconds",
                      "Time of one pass of a controller or of the kernel tables."),
      {"controller"}};
  Series<Counter> reconcileErrors{
      counterFamily("margay_reconcile_errors_total", "Passes that ended with an error."),
      {"controller"}};
  Series<Counter> changes{
      counterFamily("margay_dataplane_changes_total", "Changes made in the kernel."),
      {"table", "op"}};
  Series<Counter> drift{
      counterFamily("margay_dataplane_drift_total",
                    "Kernel objects that something else had changed and that were put right."),
      {"table"}};
  Series<Gauge> entries{
      gaugeFamily("margay_dataplane_entries",
                  "Objects of ours that should be, and that are, in a kernel table."),
      {"table", "state"}};
  Series<Gauge> connected{gaugeFamily("margay_datastore_connected", "1 while the source answers."),
                          {"source"}};
  Series<Counter> events{
      counterFamily("margay_datastore_events_total", "Changes of objects that a source gave."),
      {"source", "kind"}};
  Series<Counter> resyncs{
      counterFamily("margay_datastore_resyncs_total", "Complete lists of a source."), {"source"}};
  Series<Gauge> endpoints{
      gaugeFamily("margay_endpoints",
                  "Workload endpoints: of this node (local), of all nodes (cluster)."),
      {"scope"}};
  Series<Gauge> policies{
      gaugeFamily("margay_policies",
                  "Policies: that apply to a local endpoint (active), known (all)."),
      {"scope"}};
  Series<Gauge> invalid{
      gaugeFamily("margay_invalid_objects",
                  "Objects, documents or files that cannot be used; see margayctl status."),
      {"kind"}};
  Histogram& latency =
      histogramFamily(
          "margay_update_latency_seconds",
          "From the arrival of an event to the end of the pass that put it into the kernel.")
          .Add({}, kSeconds);
};

Metrics::Metrics(const std::string& version) : impl_(std::make_unique<Impl>()) {
  impl_->gaugeFamily("margay_build_info", "1; the labels say what runs.")
      .Add({{"version", version}, {"compiler", __VERSION__}})
      .Set(1);
  for (const auto table : kTables) {
    if (table == "iptables") {
      changes(table, "commit", 0);
    } else {
      for (const auto op : kOps) changes(table, op, 0);
    }
    drift(table, 0);
    entries(table, 0, 0);
  }
}

Metrics::~Metrics() = default;

void Metrics::reconcileDuration(std::string_view controller,
                                std::chrono::duration<double> seconds) {
  impl_->reconcileSeconds.at({controller}, kSeconds).Observe(seconds.count());
}
void Metrics::reconcileError(std::string_view controller) {
  impl_->reconcileErrors.at({controller}).Increment();
}
void Metrics::changes(std::string_view table, std::string_view op, std::uint64_t count) {
  impl_->changes.at({table, op}).Increment(static_cast<double>(count));
}
void Metrics::drift(std::string_view table, std::uint64_t count) {
  impl_->drift.at({table}).Increment(static_cast<double>(count));
}
void Metrics::entries(std::string_view table, std::size_t desired, std::size_t observed) {
  impl_->entries.at({table, "desired"}).Set(static_cast<double>(desired));
  impl_->entries.at({table, "observed"}).Set(static_cast<double>(observed));
}
void Metrics::sourceConnected(std::string_view source, bool connected) {
  impl_->connected.at({source}).Set(connected ? 1 : 0);
}
void Metrics::sourceEvents(std::string_view source, std::string_view kind, std::uint64_t total) {
  raiseTo(impl_->events.at({source, kind}), total);
}
void Metrics::sourceResyncs(std::string_view source, std::uint64_t total) {
  raiseTo(impl_->resyncs.at({source}), total);
}
void Metrics::updateLatency(std::chrono::duration<double> seconds) {
  impl_->latency.Observe(seconds.count());
}
void Metrics::endpoints(std::string_view scope, std::size_t count) {
  impl_->endpoints.at({scope}).Set(static_cast<double>(count));
}
void Metrics::policies(std::string_view scope, std::size_t count) {
  impl_->policies.at({scope}).Set(static_cast<double>(count));
}
void Metrics::invalidObjects(std::string_view kind, std::size_t count) {
  impl_->invalid.at({kind}).Set(static_cast<double>(count));
}

std::string Metrics::text() const {
  auto families = impl_->registry->Collect();
  for (auto& family : impl_->process->Collect()) families.push_back(std::move(family));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace margay::metrics
