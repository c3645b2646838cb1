#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/store/mailbox.h"
#include "cmd/agent/backend_keeper.h"
#include "cmd/agent/inspect_json.h"
#include "cmd/agent/kernel.h"
#include "cmd/agent/live_parameters.h"
#include "cmd/agent/notice_log.h"
#include "cmd/agent/pass_plan.h"
#include "cmd/agent/pass_report.h"
#include "cmd/agent/readiness.h"
#include "cmd/agent/servers.h"
#include "cmd/agent/settings.h"
#include "cmd/agent/settle_waiters.h"
#include "cmd/agent/source_maker.h"
#include "cmd/agent/source_states.h"
#include "cmd/agent/status_reporter.h"
#include "controllers/node/node_controller.h"
#include "metrics/metrics.h"
#include "reconcile/liveness.h"
#include "reconcile/loop.h"
#include "reconcile/relist_on_notice.h"
#include "reconcile/tasks.h"

namespace margay::agent {

/// The loop thread's state: what the sources said, the node's controller, the kernel's tables.
/// Functions belong to the thread that runs the loop, except `ask`, `relist` and those of health.
class Daemon {
 public:
  Daemon(const Settings& settings, std::unique_ptr<Kernel> kernel, BackendChoice backend,
         controllers::NodeOptions options, api::Parameters parameters,
         const SourceMaker& makeSource);
  ~Daemon();

  /// Who gets the status of the endpoints; null: nobody. Before `run`.
  void reportTo(std::unique_ptr<StatusReporter> reporter) { statusReporter_ = std::move(reporter); }
  /// Serves until SIGTERM or SIGINT.
  Result<void> run();
  /// Waits until every source has listed, or one says why it cannot.
  Result<void> listOnce();
  reconcile::OnceSummary converge();
  /// Looks at the kernel and changes nothing.
  std::vector<TablePlan> plan();
  reconcile::OnceSummary cleanUp();
  /// How often rules were written since the start. The loop's thread only.
  [[nodiscard]] std::uint64_t ruleCommits() const { return kernel_->rules().commits(); }

  /// Any thread: runs `question` on the loop's thread between two passes and returns its answer. No
  /// value if the loop has ended or does not come to it in time.
  template <class Answer>
  std::optional<Answer> ask(std::function<Answer()> question);
  struct WaitResult {
    bool done = false;
    std::vector<std::string> missing;
  };
  /// Any thread: every source lists again, and all that was in them comes into the kernel, or the
  /// time is over.
  WaitResult waitConverged(std::chrono::milliseconds timeout);

  /// Any thread: why the node is not ready; empty when it is.
  [[nodiscard]] std::string notReadyBecause() const;
  /// Something is known of the datastore: a pass has ended since the sources' first list.
  [[nodiscard]] bool listed() const { return readiness_.listed(); }
  /// Any thread: the loop has moved lately.
  [[nodiscard]] bool alive() const;

  /// Any thread: it never changes.
  [[nodiscard]] const std::string& nodeName() const { return settings_.nodeName; }
  // What follows is the loop's thread's alone: put it into a question to `ask`.
  [[nodiscard]] StatusView statusView() const;
  [[nodiscard]] const controllers::NodeController& controller() const { return *controller_; }
  [[nodiscard]] const api::Parameters& parameters() const { return parameters_.get(); }
  [[nodiscard]] const reconcile::Loop& loop() const { return loop_; }
  [[nodiscard]] std::vector<TablePlan> pendingPlans() const;

 private:
  void compute(TimePoint now);
  void takeMail();
  void trimAfterLists();
  void rebuild();
  void lookAtHost();
  void sweep(reconcile::OnceSummary& summary);
  void takeLinks();
  void takeNetworkEvents();
  void take(const controllers::DesiredChange& change);
  void afterPass(const reconcile::PassReport& report);
  void reportStatus();
  [[nodiscard]] std::size_t workLeft() const;
  /// Gives up on a waiter and says what it waited for. Any thread but the loop's.
  std::vector<std::string> unsettled(const std::shared_ptr<SettleWaiters::Waiter>& waiter);
  [[nodiscard]] std::vector<std::string> missing(const SettleWaiters::Waiter& waiter) const;

  Settings settings_;
  SteadyClock clock_;
  LiveParameters parameters_;
  metrics::Metrics metrics_;
  api::Mailbox mailbox_;
  std::vector<std::unique_ptr<api::Source>> sources_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<controllers::NodeController> controller_;
  reconcile::Loop loop_;
  BackendKeeper keeper_;
  bool serving_ = false;
  reconcile::Tasks tasks_;

  SourceStates states_;
  PassPlan plan_;
  SettleWaiters waiters_;
  PassReporter reporter_;
  NoticeLog noticeLog_;
  Readiness readiness_;
  reconcile::RelistOnNotice routeNotices_;
  reconcile::RelistOnNotice neighbourNotices_;
  reconcile::RelistOnNotice sysctlNotices_;
  mutable reconcile::Liveness liveness_;
  std::string ruleError_;
  bool linksDirty_ = true;
  bool cleaning_ = false;
  std::uint64_t lists_ = 0;  // that the sources had made at the last mail
  bool trimDue_ = false;
  std::optional<TimePoint> firstArrival_;  // of what is not in the kernel yet

  std::unique_ptr<StatusReporter> statusReporter_;
  std::uint64_t reportedRevision_ = 0;
  dataplane::LinkMap reportedLinks_;

  Servers servers_;
};

template <class Answer>
std::optional<Answer> Daemon::ask(std::function<Answer()> question) {
  return tasks_.ask(std::move(question), std::chrono::seconds(20));
}

}  // namespace margay::agent
