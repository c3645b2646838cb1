#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/server/http.h"
#include "api/store/mailbox.h"
#include "cmd/agent/inspect_json.h"
#include "cmd/agent/kernel.h"
#include "cmd/agent/settings.h"
#include "controllers/node/node_controller.h"
#include "metrics/metrics.h"
#include "reconcile/loop.h"

namespace margay::agent {

/// The loop thread's state: what the sources said, the node's controller, the kernel's tables.
/// Functions belong to the thread that runs the loop, except `ask`, `relist` and those of health.
class Daemon {
 public:
  Daemon(const Settings& settings, std::unique_ptr<Kernel> kernel, controllers::NodeOptions options,
         api::Parameters parameters);
  ~Daemon();

  /// Serves until SIGTERM or SIGINT.
  Result<void> run();
  /// Waits until every source has listed, or one says why it cannot.
  Result<void> listOnce();
  reconcile::OnceSummary converge();
  /// Looks at the kernel and changes nothing.
  std::vector<TablePlan> plan();
  reconcile::OnceSummary cleanUp();

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
  /// Any thread: the loop has moved lately.
  [[nodiscard]] bool alive() const;

  [[nodiscard]] StatusView statusView() const;
  [[nodiscard]] const controllers::NodeController& controller() const { return controller_; }
  [[nodiscard]] const api::Parameters& parameters() const { return parameters_; }
  [[nodiscard]] const reconcile::Loop& loop() const { return loop_; }
  [[nodiscard]] std::vector<TablePlan> pendingPlans() const;

 private:
  struct Waiter {
    std::uint64_t barrier = 0;
    bool listed = false;
    std::promise<bool> done;
  };

  void compute(TimePoint now);
  void takeMail();
  void takeParameters();
  void takeLinks();
  void takeNetworkEvents();
  struct Echo {
    std::uint64_t changes = 0;  // of ours, when the kernel last told of any
    bool scheduled = false;
  };
  void listAgain(reconcile::Table& table, Echo& echo);
  void runTasks();
  void take(const controllers::DesiredChange& change);
  void afterPass(const reconcile::PassReport& report);
  void report(const reconcile::PassReport& pass);
  void settleReadiness();
  [[nodiscard]] bool allSynced() const;
  [[nodiscard]] std::size_t workLeft() const;
  void post(std::function<void()> task);
  Result<void> serve();

  Settings settings_;
  SteadyClock clock_;
  api::Parameters parameters_;
  metrics::Metrics metrics_;
  api::Mailbox mailbox_;
  std::vector<std::unique_ptr<api::Source>> sources_;
  std::unique_ptr<Kernel> kernel_;
  controllers::NodeController controller_;
  reconcile::Loop loop_;

  std::map<std::string, api::SourceState> states_;
  std::map<std::string, api::FelixConfiguration> felixConfigurations_;
  std::set<std::string> invalidKinds_;  // of which a gauge exists
  std::string ruleError_;
  bool linksDirty_ = true;
  Echo routeEcho_;
  Echo neighbourEcho_;
  bool collecting_ = false;
  bool collectTimer_ = false;
  bool cleaning_ = false;
  bool converged_ = false;  // at least once
  bool moreToFlush_ = false;
  std::optional<TimePoint> firstArrival_;

  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
  std::uint64_t lastBarrier_ = 0;

  mutable std::mutex readyMutex_;
  std::string notReadyBecause_ = "no source has listed yet";
  mutable std::mutex aliveMutex_;
  mutable std::uint64_t seenProgress_ = 0;
  mutable TimePoint progressAt_{};

  std::unique_ptr<api::HttpServer> control_;
  std::unique_ptr<api::HttpServer> health_;
};

template <class Answer>
std::optional<Answer> Daemon::ask(std::function<Answer()> question) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  post([promise, question = std::move(question)] { promise->set_value(question()); });
  if (answer.wait_for(std::chrono::seconds(20)) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

}  // namespace margay::agent
