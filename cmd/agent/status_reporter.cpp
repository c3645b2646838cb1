#include "cmd/agent/status_reporter.h"

#include <algorithm>
#include <utility>

#include "api/etcd/etcd_options.h"
#include "base/log.h"

namespace margay::agent {
namespace {

/// An agent that is started again and again is not reported as alive.
constexpr std::chrono::milliseconds kBeforeFirstReport{10'000};
/// What etcd has of endpoints is compared with what should be there after so many delays.
constexpr int kDelaysBetweenLists = 180;
/// Writes in a transaction; etcd takes 128.
constexpr std::size_t kWritesAtOnce = 100;

}  // namespace

Result<std::unique_ptr<StatusReporter>> StatusReporter::start(const Settings& settings) {
  if (settings.datastore != "etcdv3") return nullptr;
  auto options = api::etcdOptions(settings.environment);
  if (!options) return Fail(options.error());
  return std::make_unique<StatusReporter>(std::make_unique<api::EtcdClient>(std::move(*options)));
}

StatusReporter::StatusReporter(std::unique_ptr<api::EtcdClient> client)
    : client_(std::move(client)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

StatusReporter::~StatusReporter() = default;

void StatusReporter::setOptions(const FelixStatusOptions& options) {
  if (options == given_) return;
  given_ = options;
  const std::lock_guard lock(mutex_);
  newOptions_ = options;
  news_ = true;
  changed_.notify_one();
}

void StatusReporter::setEndpoints(EndpointStatuses endpoints) {
  const std::lock_guard lock(mutex_);
  newEndpoints_ = std::move(endpoints);
  news_ = true;
  changed_.notify_one();
}

StatusReporter::Clock::time_point StatusReporter::nextDue() const {
  return std::min({reportDue_, endpointsDue_, listDue_});
}

void StatusReporter::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, stop, std::min(nextDue(), Clock::now() + std::chrono::hours(1)),
                          [this] { return news_; });
      if (stop.stop_requested()) return;
      news_ = false;
      if (options_ != newOptions_) {
        options_ = newOptions_;
        lease_ = 0;  // of another length, or for another key
        reportDue_ = options_.interval.count() > 0
                         ? Clock::now() + std::min(kBeforeFirstReport, options_.interval)
                         : Clock::time_point::max();
        listDue_ = options_.endpoints ? Clock::now() : Clock::time_point::max();
        endpointsDue_ = Clock::time_point::max();
      }
      if (newEndpoints_) {
        wanted_ = std::exchange(newEndpoints_, std::nullopt);
        if (options_.endpoints)
          endpointsDue_ = std::min(endpointsDue_, Clock::now() + options_.endpointDelay);
      }
    }
    nodeReport(stop);
    endpointReport(stop);
  }
}

void StatusReporter::nodeReport(const std::stop_token& stop) {
  if (Clock::now() < reportDue_) return;
  reportDue_ = Clock::now() + options_.interval;
  noteOutcome(writeReport(stop));
}

/// A lease that begins now.
Result<std::int64_t> StatusReporter::lease(const std::stop_token& stop) {
  if (lease_ != 0) {
    const auto kept = client_->keepLease(lease_, stop);
    if (kept) return lease_;
    if (kept.error().code != Errc::NotFound) return Fail(kept.error());
  }
  auto granted = client_->grantLease(std::max(options_.ttl, std::chrono::seconds(1)), stop);
  if (granted) lease_ = *granted;
  return granted;
}

Result<void> StatusReporter::writeReport(const std::stop_token& stop) {
  const auto held = lease(stop);
  if (!held) return Fail(held.error());
  const auto report =
      statusReport(std::chrono::system_clock::now(), Clock::now() - started_, first_);
  const auto prefix = statusPrefix(options_);
  const auto written = client_->write({},
                                      {{.key = prefix + "status", .value = report, .lease = *held},
                                       {.key = prefix + "last_reported_status", .value = report}},
                                      stop);
  if (!written) {
    lease_ = 0;  // it may be what was refused
    return Fail(written.error());
  }
  first_ = false;
  return {};
}

void StatusReporter::endpointReport(const std::stop_token& stop) {
  if (!wanted_ || !options_.endpoints) return;
  const auto now = Clock::now();
  const auto delay = std::max(options_.endpointDelay, std::chrono::milliseconds(10));
  if (now >= listDue_) {
    const auto listed = listEndpoints(stop);
    noteOutcome(listed);
    listDue_ = now + (listed ? delay * kDelaysBetweenLists : delay);
    if (!listed) return;
    endpointsDue_ = std::min(endpointsDue_, now + delay);
  }
  if (now < endpointsDue_) return;
  const auto written = writeEndpoints(stop);
  noteOutcome(written);
  endpointsDue_ = written && stored_ == *wanted_ ? Clock::time_point::max() : now + delay;
}

/// What etcd has: endpoints that went while no agent ran are still there.
Result<void> StatusReporter::listEndpoints(const std::stop_token& stop) {
  EndpointStatuses found;
  const auto listed = client_->list(
      statusPrefix(options_) + "workload/",
      [&](api::EtcdKeyValue& kv) { found[std::move(kv.key)] = std::move(kv.value); }, stop);
  if (!listed) return Fail(listed.error());
  stored_ = std::move(found);
  return {};
}

Result<void> StatusReporter::writeEndpoints(const std::stop_token& stop) {
  std::vector<api::EtcdWrite> writes;
  for (const auto& [key, value] : *wanted_) {
    const auto found = stored_.find(key);
    if (writes.size() < kWritesAtOnce && (found == stored_.end() || found->second != value))
      writes.push_back({.key = key, .value = value});
  }
  for (const auto& [key, value] : stored_) {
    if (writes.size() < kWritesAtOnce && !wanted_->contains(key))
      writes.push_back({.key = key, .value = std::nullopt});
  }
  if (writes.empty()) return {};
  const auto written = client_->write({}, writes, stop);
  if (!written) return Fail(written.error());
  for (auto& write : writes) {
    if (write.value)
      stored_[write.key] = std::move(*write.value);
    else
      stored_.erase(write.key);
  }
  return {};
}

void StatusReporter::noteOutcome(const Result<void>& outcome) {
  if (outcome) return trouble_.over();
  if (outcome.error().code != Errc::Interrupted && trouble_.isNews(outcome.error().what))
    log::warn("cannot report the node's status", {{"error", outcome.error().what}});
}

}  // namespace margay::agent
