#include "cmd/agent/daemon.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "api/file/file_source.h"
#include "base/log.h"
#include "base/version.h"
#include "cmd/agent/control.h"
#include "cmd/agent/node_options.h"

namespace margay::agent {
namespace {

constexpr std::chrono::seconds kHangs{30};
constexpr std::chrono::milliseconds kEcho{250};

/// Each object that cannot be used is named once when it comes, and once when it is good again.
void logInvalid(const std::vector<api::InvalidObject>& before,
                const std::vector<api::InvalidObject>& now) {
  std::vector<api::InvalidObject> came;
  std::vector<api::InvalidObject> left;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                      std::back_inserter(came));
  std::set_difference(before.begin(), before.end(), now.begin(), now.end(),
                      std::back_inserter(left));
  for (const auto& object : came) {
    log::warn("an object cannot be used", {{"kind", object.kindName},
                                           {"namespace", object.ns},
                                           {"name", object.name},
                                           {"file", object.file},
                                           {"document", object.document},
                                           {"field", object.field},
                                           {"reason", object.reason}});
  }
  for (const auto& object : left) {
    log::info("an object is no longer in the way", {{"kind", object.kindName},
                                                    {"namespace", object.ns},
                                                    {"name", object.name},
                                                    {"file", object.file},
                                                    {"field", object.field}});
  }
}

api::FileSourceOptions fileOptions(const controllers::NodeOptions& options) {
  api::FileSourceOptions out;
  out.interfacePrefix = options.statics.interfacePrefixes.front();
  return out;
}

}  // namespace

Daemon::Daemon(const Settings& settings, std::unique_ptr<Kernel> kernel,
               controllers::NodeOptions options, api::Parameters parameters)
    : settings_(settings),
      parameters_(std::move(parameters)),
      metrics_(std::string(kVersion)),
      kernel_(std::move(kernel)),
      controller_(settings.nodeName, std::move(options)),
      loop_(clock_, {},
            {.compute = [this](TimePoint now) { compute(now); },
             .afterPass = [this](const reconcile::PassReport& report) { afterPass(report); }}) {
  sources_.push_back(std::make_unique<api::FileSource>(settings_.dataDir, mailbox_,
                                                       fileOptions(controller_.options())));
  for (const auto& source : sources_) states_[source->name()];
  for (auto* table : kernel_->tables()) loop_.add(*table);
}

Daemon::~Daemon() {
  control_.reset();
  health_.reset();
  for (auto& source : sources_) source->stop();
}

Result<void> Daemon::run() {
  sigset_t stopSignals;
  sigemptyset(&stopSignals);
  sigaddset(&stopSignals, SIGTERM);
  sigaddset(&stopSignals, SIGINT);
  const int signals = signalfd(-1, &stopSignals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return Fail(systemError(errno, "signalfd"));
  if (auto watched = loop_.watch(signals, [this] { loop_.stop(); }); !watched) return watched;
  if (auto watched = loop_.watch(mailbox_.fd(), [this] { takeMail(); }); !watched) return watched;
  if (auto watched = loop_.watch(kernel_->monitor().fd(), [this] { takeNetworkEvents(); });
      !watched)
    return watched;
  if (auto served = serve(); !served) return served;
  for (auto& source : sources_) source->start();
  log::info("margay-node started",
            {{"version", kVersion}, {"node", settings_.nodeName}, {"data", settings_.dataDir}});
  auto ended = loop_.run();
  close(signals);
  log::info("margay-node stops; the kernel stays as it is");
  return ended;
}

Result<void> Daemon::serve() {
  auto control = api::HttpServer::onUnix(
      settings_.runDir + "/margay.sock",
      [this](const api::HttpRequest& request) { return answerControl(*this, request); });
  if (!control) return Fail(control.error());
  control_ = std::move(*control);
  if (parameters_.flag("HealthEnabled")) {
    auto health = api::HttpServer::onTcp(
        parameters_.text("HealthHost"),
        static_cast<std::uint16_t>(parameters_.integer("HealthPort")),
        [this](const api::HttpRequest& request) { return answerHealth(*this, request); });
    if (!health)
      return Fail(withContext(health.error(), "health (FELIX_HEALTHHOST, FELIX_HEALTHPORT)"));
    health_ = std::move(*health);
  }
  if (!parameters_.flag("PrometheusMetricsEnabled")) return {};
  return metrics_.expose(parameters_.text("PrometheusMetricsHost"),
                         static_cast<std::uint16_t>(parameters_.integer("PrometheusMetricsPort")));
}

Result<void> Daemon::listOnce() {
  for (auto& source : sources_) source->start();
  while (!allSynced()) {
    pollfd entry{mailbox_.fd(), POLLIN, 0};
    if (poll(&entry, 1, -1) < 0 && errno != EINTR) return Fail(systemError(errno, "poll"));
    takeMail();
    for (const auto& [name, state] : states_) {
      if (!state.synced && !state.error.empty())
        return fail(Errc::Invalid, "source " + name + ": " + state.error);
    }
  }
  return {};
}

reconcile::OnceSummary Daemon::converge() {
  loop_.allowRemovals();
  auto all = loop_.runOnce();
  // What moved, and groups that nobody needs any more, take passes of their own.
  while (all.converged && (moreToFlush_ || collecting_)) {
    auto more = loop_.runOnce();
    for (std::size_t i = 0; i < all.tables.size(); ++i) {
      more.tables[i].changes.add += all.tables[i].changes.add;
      more.tables[i].changes.replace += all.tables[i].changes.replace;
      more.tables[i].changes.remove += all.tables[i].changes.remove;
    }
    more.passes += all.passes;
    all = std::move(more);
  }
  return all;
}

std::vector<TablePlan> Daemon::plan() {
  loop_.look();
  return pendingPlans();
}

reconcile::OnceSummary Daemon::cleanUp() {
  collecting_ = false;
  cleaning_ = true;
  loop_.allowRemovals();
  auto summary = loop_.runOnce();
  if (summary.converged) kernel_->sysctls().restoreAll();
  return summary;
}

bool Daemon::allSynced() const {
  return std::all_of(states_.begin(), states_.end(),
                     [](const auto& entry) { return entry.second.synced; });
}

void Daemon::takeMail() {
  auto batch = mailbox_.take();
  if (batch.firstArrival && (!firstArrival_ || *batch.firstArrival < *firstArrival_))
    firstArrival_ = batch.firstArrival;
  for (auto& [name, state] : batch.states) {
    logInvalid(states_[name].invalid, state.invalid);
    states_[name] = std::move(state);
  }
  // Nodes first: whether an endpoint of another node needs a route of its own depends on its node's
  // CIDRs.
  const auto isNode = [](const api::Update& update) { return update.key.kind == api::Kind::Node; };
  std::stable_partition(batch.updates.begin(), batch.updates.end(), isNode);
  bool parametersChanged = false;
  for (const auto& update : batch.updates) {
    controller_.update(update);
    if (update.key.kind != api::Kind::FelixConfiguration) continue;
    parametersChanged = true;
    felixConfigurations_.erase(update.key.name);
    if (update.value)
      felixConfigurations_.emplace(
          update.key.name,
          *std::get<std::shared_ptr<const api::FelixConfiguration>>(*update.value));
  }
  if (parametersChanged) takeParameters();
  for (const auto barrier : batch.barriers) {
    for (auto& waiter : waiters_) waiter->listed = waiter->listed || waiter->barrier == barrier;
  }
  loop_.poke();
}

void Daemon::takeParameters() {
  const auto find = [&](const std::string& name) -> std::optional<api::FelixConfiguration> {
    const auto found = felixConfigurations_.find(name);
    if (found == felixConfigurations_.end()) return std::nullopt;
    return found->second;
  };
  auto parameters = parametersOf(settings_, find("node." + settings_.nodeName), find("default"));
  if (parameters == parameters_) return;
  auto options = nodeOptionsOf(parameters, settings_.networkingBackend,
                               controller_.options().endpoints.defaultRpFilter,
                               controller_.options().families.size() > 1);
  if (!options) {
    log::error("parameters from FelixConfiguration cannot be used; the old ones stay in force",
               {{"why", options.error().what}});
    return;
  }
  log::info("parameters changed");
  parameters_ = std::move(parameters);
  controller_.setOptions(std::move(*options));
}

/// The kernel also tells of our own changes: those need no list at once. A foreign change that
/// hides among them is found a moment later.
void Daemon::listAgain(reconcile::Table& table, Echo& echo) {
  const auto changes = table.status().changes.total();
  if (std::exchange(echo.changes, changes) == changes) {
    table.requestRelist();
  } else if (!echo.scheduled) {
    echo.scheduled = true;
    loop_.timers().at(clock_.now() + kEcho, [this, &table, &echo] {
      echo.scheduled = false;
      table.requestRelist();
      loop_.poke();
    });
  }
}

void Daemon::takeNetworkEvents() {
  const auto events = kernel_->monitor().read();
  if (events.links || events.addresses || events.overflow) linksDirty_ = true;
  if (events.routes || events.overflow) listAgain(kernel_->routes(), routeEcho_);
  if (events.neighbours || events.overflow) listAgain(kernel_->neighbours(), neighbourEcho_);
  loop_.poke();
}

void Daemon::takeLinks() {
  if (!linksDirty_) return;
  auto links = kernel_->links().list();
  auto addresses = kernel_->links().addresses();
  if (!links || !addresses) {
    log::warn("cannot list interfaces",
              {{"error", links ? addresses.error().what : links.error().what}});
    return;
  }
  linksDirty_ = false;
  controller_.setLinks(std::move(*links), std::move(*addresses));
}

void Daemon::compute(TimePoint now) {
  runTasks();
  if (cleaning_ || !allSynced()) return;
  loop_.allowRemovals();
  takeLinks();
  const auto started = clock_.now();
  auto change = collecting_ ? controller_.collect(now) : controller_.flush(now);
  collecting_ = false;
  moreToFlush_ = !change.moved.empty();
  take(change);
  metrics_.reconcileDuration("node", clock_.now() - started);
}

void Daemon::take(const controllers::DesiredChange& change) {
  if (auto taken = kernel_->apply(change); !taken) {
    ruleError_ = taken.error().what;
    log::error("a rule cannot be written", {{"error", ruleError_}});
    metrics_.reconcileError("node");
  }
}

std::size_t Daemon::workLeft() const {
  std::size_t left = 0;
  for (const auto* table : kernel_->tables()) left += table->status().pending;
  return left;
}

void Daemon::afterPass(const reconcile::PassReport& report) {
  if (cleaning_ || !allSynced()) return;
  const auto left = workLeft();
  const auto nextCollect = controller_.nextCollect();
  if (moreToFlush_) {
    loop_.poke();
  } else if (left == 0 && nextCollect) {
    // Groups that nobody needs go in a pass of their own, after the one that moved their members
    // away.
    if (*nextCollect <= clock_.now()) {
      collecting_ = true;
      loop_.poke();
    } else if (!collectTimer_) {
      collectTimer_ = true;
      loop_.timers().at(*nextCollect, [this] {
        collectTimer_ = false;
        collecting_ = true;
        loop_.poke();
      });
    }
  }
  if (left == 0 && !moreToFlush_ && !collecting_) {
    for (auto& waiter : waiters_) {
      if (waiter->listed) waiter->done.set_value(true);
    }
    std::erase_if(waiters_, [](const auto& waiter) { return waiter->listed; });
    if (firstArrival_) metrics_.updateLatency(clock_.now() - *firstArrival_);
    firstArrival_.reset();
  }
  settleReadiness();
  this->report(report);
}

void Daemon::settleReadiness() {
  std::string why;
  const bool ipvs = std::any_of(
      settings_.warnings.begin(), settings_.warnings.end(),
      [](const auto& warning) { return warning.starts_with("kube-proxy runs in IPVS"); });
  if (ipvs) why = "kube-proxy runs in IPVS mode";
  const std::lock_guard lock(readyMutex_);
  if (!why.empty()) {
    notReadyBecause_ = why;
  } else if (!notReadyBecause_.empty() && (workLeft() == 0 || converged_)) {
    // The first list leaves much that is free but not given back.
    if (!converged_) malloc_trim(0);
    converged_ = true;
    notReadyBecause_.clear();
    log::info("ready", {{"endpoints", controller_.engine().counts().localEndpoints}});
  } else if (!notReadyBecause_.empty()) {
    notReadyBecause_ =
        "the kernel has not converged on the first list yet: see the tables' errors in margayctl "
        "status";
  }
}

void Daemon::report(const reconcile::PassReport& pass) {
  metrics_.reconcileDuration("kernel", pass.took - pass.computing);
  kernel_->report(metrics_);
  const auto counts = controller_.engine().counts();
  metrics_.endpoints("local", counts.localEndpoints);
  metrics_.endpoints("cluster", counts.clusterEndpoints);
  metrics_.policies("active", counts.activePolicies);
  metrics_.policies("all", counts.policies);
  for (const auto& [name, state] : states_) {
    metrics_.sourceConnected(name, state.connected);
    metrics_.sourceResyncs(name, state.resyncs);
    for (const auto& [kind, total] : state.events)
      metrics_.sourceEvents(name, api::kindText(kind), total);
  }
  std::map<std::string, std::size_t> invalid;
  for (const auto& kind : invalidKinds_) invalid[kind] = 0;
  for (const auto& [name, state] : states_) {
    for (const auto& object : state.invalid) ++invalid[std::string(api::kindText(object.kind))];
  }
  for (const auto& problem : controller_.problems()) {
    if (problem.severity == controllers::EndpointProblem::Severity::Error)
      ++invalid[std::string(api::kindText(problem.endpoint.kind))];
  }
  for (const auto& [kind, count] : invalid) {
    invalidKinds_.insert(kind);
    metrics_.invalidObjects(kind, count);
  }
  if (pass.changed > 0) {
    log::info("converged", {{"changed", pass.changed},
                            {"failed", pass.failed},
                            {"ms", std::chrono::duration<double, std::milli>(pass.took).count()}});
  }
}

void Daemon::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  loop_.poke();
}

void Daemon::runTasks() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
}

Daemon::WaitResult Daemon::waitConverged(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto waiter = std::make_shared<Waiter>();
  auto done = waiter->done.get_future();
  post([this, waiter] {
    waiter->barrier = ++lastBarrier_;
    waiters_.push_back(waiter);
    for (auto& source : sources_) source->relist(waiter->barrier);
  });
  if (done.wait_until(deadline) == std::future_status::ready) return {true, {}};
  const auto missing = ask<std::vector<std::string>>([this, waiter] {
    std::erase(waiters_, waiter);
    std::vector<std::string> out;
    for (const auto& [name, state] : states_) {
      if (!state.synced || !state.connected)
        out.push_back("source " + name + ": " +
                      (state.error.empty() ? "has not listed yet" : state.error));
    }
    for (const auto* table : kernel_->tables()) {
      const auto status = table->status();
      if (status.pending == 0) continue;
      auto line = status.name + ": " + std::to_string(status.pending) + " changes are pending";
      if (status.lastError)
        line +=
            "; last error: " + status.lastError->key.substr(0, status.lastError->key.find('\n')) +
            ": " + status.lastError->error.what;
      out.push_back(std::move(line));
    }
    if (!waiter->listed) out.emplace_back("a source has not listed again yet");
    return out;
  });
  return {false, missing.value_or(std::vector<std::string>{"margay-node is busy"})};
}

std::string Daemon::notReadyBecause() const {
  const std::lock_guard lock(readyMutex_);
  return notReadyBecause_;
}

bool Daemon::alive() const {
  const std::lock_guard lock(aliveMutex_);
  const auto progress = loop_.progress();
  const auto now = clock_.now();
  if (progress != seenProgress_ || progressAt_ == TimePoint{}) {
    seenProgress_ = progress;
    progressAt_ = now;
  }
  return now - progressAt_ < kHangs;
}

StatusView Daemon::statusView() const {
  StatusView view;
  view.nodeName = settings_.nodeName;
  view.notReadyBecause = notReadyBecause();
  view.backend = "iptables (legacy tables, through libiptc)";
  view.sources = states_;
  for (const auto* table : kernel_->tables()) view.tables.push_back(table->status());
  view.now = clock_.now();
  view.counts = controller_.engine().counts();
  view.problems = controller_.problems();
  view.skippedRoutes = controller_.skippedRoutes();
  view.parameterProblems = parameters_.problems();
  view.warnings = settings_.warnings;
  if (!ruleError_.empty()) view.warnings.push_back("a rule cannot be written: " + ruleError_);
  return view;
}

std::vector<TablePlan> Daemon::pendingPlans() const {
  std::vector<TablePlan> out;
  for (const auto* table : kernel_->tables()) out.push_back({table->name(), table->plan()});
  return out;
}

}  // namespace margay::agent
