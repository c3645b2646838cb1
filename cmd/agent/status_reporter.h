#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "api/etcd/etcd_client.h"
#include "base/result.h"
#include "base/trouble.h"
#include "cmd/agent/felix_status.h"
#include "cmd/agent/settings.h"

namespace margay::agent {

/// Reports to etcd, as Felix does, that this node is alive (a key with a lease, which ends when no
/// report comes any more) and how its endpoints are, on a thread of its own that ends with this
/// object and leaves the keys as they are. Nothing is written before `setOptions`. What etcd
/// refuses is logged once and tried again. `setOptions` and `setEndpoints` return at once; they are
/// for one thread.
class StatusReporter {
 public:
  /// Null where the datastore is not etcd.
  static Result<std::unique_ptr<StatusReporter>> start(const Settings& settings);
  explicit StatusReporter(std::unique_ptr<api::EtcdClient> client);
  ~StatusReporter();
  StatusReporter(const StatusReporter&) = delete;
  StatusReporter& operator=(const StatusReporter&) = delete;

  void setOptions(const FelixStatusOptions& options);
  /// As set last.
  [[nodiscard]] const FelixStatusOptions& options() const { return given_; }
  /// All endpoints of the node.
  void setEndpoints(EndpointStatuses endpoints);

 private:
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stop);
  void nodeReport(const std::stop_token& stop);
  Result<void> writeReport(const std::stop_token& stop);
  Result<std::int64_t> lease(const std::stop_token& stop);
  void endpointReport(const std::stop_token& stop);
  Result<void> listEndpoints(const std::stop_token& stop);
  Result<void> writeEndpoints(const std::stop_token& stop);
  void noteOutcome(const Result<void>& outcome);
  [[nodiscard]] Clock::time_point nextDue() const;

  FelixStatusOptions given_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  FelixStatusOptions newOptions_;                 // guarded by mutex_
  std::optional<EndpointStatuses> newEndpoints_;  // guarded by mutex_
  bool news_ = false;                             // guarded by mutex_

  // The thread's own.
  std::unique_ptr<api::EtcdClient> client_;
  FelixStatusOptions options_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point reportDue_ = Clock::time_point::max();
  bool first_ = true;
  std::int64_t lease_ = 0;
  std::optional<EndpointStatuses> wanted_;
  EndpointStatuses stored_;
  Clock::time_point endpointsDue_ = Clock::time_point::max();
  Clock::time_point listDue_ = Clock::time_point::max();
  Trouble trouble_;

  std::jthread thread_;  // last: it uses the others
};

}  // namespace margay::agent
