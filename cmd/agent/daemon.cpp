#include "cmd/agent/daemon.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "base/version.h"
#include "cmd/agent/start_memory.h"

namespace margay::agent {
namespace {

/// What no pass can put right; empty if nothing is in the way.
std::string obstacle(const Settings& settings) {
  const bool ipvs = std::any_of(
      settings.warnings.begin(), settings.warnings.end(),
      [](const auto& warning) { return warning.starts_with("kube-proxy runs in IPVS"); });
  return ipvs ? "kube-proxy runs in IPVS mode" : "";
}

/// Between looks at who else filters packets on the host.
constexpr std::chrono::seconds kLookPeriod{5};
/// What a list needed is free by then, and one of many kinds is trimmed after a few times.
constexpr std::chrono::seconds kTrimAfter{5};

}  // namespace

Daemon::Daemon(const Settings& settings, std::unique_ptr<Kernel> kernel, BackendChoice backend,
               controllers::NodeOptions options, api::Parameters parameters,
               const SourceMaker& makeSource)
    : settings_(settings),
      parameters_(settings_, std::move(parameters)),
      metrics_(std::string(kVersion)),
      kernel_(std::move(kernel)),
      controller_(
          std::make_unique<controllers::NodeController>(settings.nodeName, std::move(options))),
      loop_(clock_, {},
            {.compute = [this](TimePoint now) { compute(now); },
             .afterPass = [this](const reconcile::PassReport& report) { afterPass(report); }}),
      keeper_(*kernel_, loop_, std::move(backend),
              {[this] { rebuild(); }, [this] { return controller_->options().statics; }}),
      tasks_([this] { loop_.poke(); }),
      reporter_(metrics_),
      noticeLog_([this](const auto& keys) {
        for (auto& source : sources_) source->locate(keys);
      }),
      readiness_(obstacle(settings)),
      routeNotices_(kernel_->routes(), loop_.timers(), [this] { loop_.poke(); }),
      neighbourNotices_(kernel_->neighbours(), loop_.timers(), [this] { loop_.poke(); }),
      sysctlNotices_(kernel_->sysctls().table(), loop_.timers(), [this] { loop_.poke(); }) {
  sources_.push_back(makeSource(mailbox_));
  for (const auto& source : sources_) states_.add(source->name());
  if (auto begun = keeper_.begin(); !begun)
    log::warn("changes of rules by others will be found late", {{"error", begun.error().what}});
}

Daemon::~Daemon() {
  servers_ = {};
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
  const auto purged = [this] {
    kernel_->purge().readEnded();
    loop_.poke();
  };
  if (auto watched = loop_.watch(kernel_->purge().fd(), purged); !watched) return watched;
  auto servers = startServers(*this, metrics_, parameters_.get(), settings_.runDir);
  if (!servers) return Fail(servers.error());
  servers_ = std::move(*servers);
  serving_ = true;
  lookAtHost();
  for (auto& source : sources_) source->start();
  log::info("margay-node started",
            {{"version", kVersion},
             {"node", settings_.nodeName},
             {"data", settings_.datastore == "file" ? settings_.dataDir : settings_.datastore}});
  auto ended = loop_.run();
  // The servers end with their last answer, and that must not wait for a loop that has ended.
  tasks_.close();
  waiters_.abandon();
  close(signals);
  log::info("margay-node stops; the kernel stays as it is");
  return ended;
}

Result<void> Daemon::listOnce() {
  for (auto& source : sources_) source->start();
  while (!states_.synced()) {
    pollfd entry{mailbox_.fd(), POLLIN, 0};
    if (poll(&entry, 1, -1) < 0 && errno != EINTR) return Fail(systemError(errno, "poll"));
    takeMail();
    if (auto listable = states_.listable(); !listable) return listable;
  }
  return {};
}

reconcile::OnceSummary Daemon::converge() {
  loop_.allowRemovals();
  auto all = loop_.runOnce();
  // What moved, and groups that nobody needs any more, take passes of their own.
  while (all.converged && plan_.more()) {
    auto more = loop_.runOnce();
    for (std::size_t i = 0; i < all.tables.size(); ++i) {
      more.tables[i].changes.add += all.tables[i].changes.add;
      more.tables[i].changes.replace += all.tables[i].changes.replace;
      more.tables[i].changes.remove += all.tables[i].changes.remove;
    }
    more.passes += all.passes;
    all = std::move(more);
  }
  if (all.converged) sweep(all);
  return all;
}

/// Takes what the other rule backend holds of ours out of the kernel.
void Daemon::sweep(reconcile::OnceSummary& summary) {
  keeper_.settled();
  if (!keeper_.swept()) {
    auto more = loop_.runOnce();
    keeper_.settled();
    summary.converged = more.converged;
    summary.passes += more.passes;
    for (std::size_t i = summary.tables.size(); i < more.tables.size(); ++i)
      summary.tables.push_back(std::move(more.tables[i]));
  }
  // Where others drop, what the backend that stays lets pass is accepted in another way now.
  if (workLeft() > 0) summary.converged = loop_.runOnce().converged && summary.converged;
}

std::vector<TablePlan> Daemon::plan() {
  loop_.look();
  return pendingPlans();
}

reconcile::OnceSummary Daemon::cleanUp() {
  cleaning_ = true;
  keeper_.cleanUp();
  loop_.allowRemovals();
  if (auto left = kernel_->rules().leaveHooks(); !left)
    log::warn("rules go while packets pass them", {{"error", left.error().what}});
  auto summary = loop_.runOnce();
  if (!summary.converged) return summary;
  kernel_->sysctls().restoreAll();
  if (auto removed = kernel_->rules().removeRest(); !removed)
    log::warn("a table of ours stays", {{"error", removed.error().what}});
  sweep(summary);
  return summary;
}

void Daemon::takeMail() {
  auto batch = mailbox_.take();
  if (batch.firstArrival && (!firstArrival_ || *batch.firstArrival < *firstArrival_))
    firstArrival_ = batch.firstArrival;
  const bool wasSynced = states_.synced();
  states_.take(batch.states);
  trimAfterLists();
  if (!states_.synced()) readiness_.waitFor(states_.missing());
  // Nodes first: whether an endpoint of another node needs a route of its own depends on its node's
  // CIDRs.
  const auto isNode = [](const api::Update& update) { return update.key.kind == api::Kind::Node; };
  std::stable_partition(batch.updates.begin(), batch.updates.end(), isNode);
  bool parametersChanged = false;
  for (const auto& update : batch.updates) {
    controller_->update(update);
    parametersChanged = parameters_.take(update) || parametersChanged;
  }
  bool lookNow = !wasSynced;
  if (parametersChanged) {
    if (auto options = parameters_.changed(controller_->options(), keeper_.choice().backend)) {
      controller_->setOptions(std::move(*options));
      lookNow = true;
    }
  }
  if (lookNow && states_.synced()) keeper_.look(parameters_.get());
  waiters_.listed(batch.barriers);
  loop_.poke();
}

/// A list of many objects leaves as much memory free as they had as text.
void Daemon::trimAfterLists() {
  if (std::exchange(lists_, states_.lists()) == states_.lists() || trimDue_) return;
  trimDue_ = true;
  loop_.timers().at(clock_.now() + kTrimAfter, [this] {
    trimDue_ = false;
    releaseStartMemory();
  });
}

/// The same objects for a kernel whose rules are another backend's: everything is new to it.
void Daemon::rebuild() {
  auto fresh = std::make_unique<controllers::NodeController>(
      settings_.nodeName, parameters_.forBackend(controller_->options(), keeper_.choice().backend));
  for (auto& [key, value] : controller_->objects()) fresh->update({key, value});
  controller_ = std::move(fresh);
  linksDirty_ = true;
}

void Daemon::lookAtHost() {
  loop_.timers().at(clock_.now() + kLookPeriod, [this] {
    if (states_.synced()) keeper_.look(parameters_.get());
    lookAtHost();
  });
}

void Daemon::takeNetworkEvents() {
  const auto events = kernel_->monitor().read();
  if (events.links || events.addresses || events.overflow) linksDirty_ = true;
  if (events.routes || events.overflow) routeNotices_.noticed(clock_.now());
  if (events.neighbours || events.overflow) neighbourNotices_.noticed(clock_.now());
  for (const auto& interface : events.settings) kernel_->sysctls().lookAt(interface);
  if (events.allSettings || events.overflow) sysctlNotices_.noticed(clock_.now());
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
  if (statusReporter_) reportedLinks_ = *links;
  controller_->setLinks(std::move(*links), std::move(*addresses));
}

void Daemon::compute(TimePoint now) {
  tasks_.run();
  if (cleaning_ || !states_.synced()) return;
  loop_.allowRemovals();
  takeLinks();
  const auto started = clock_.now();
  const auto change = plan_.begin() == PassPlan::Work::Collect ? controller_->collect(now)
                                                               : controller_->flush(now);
  plan_.computed(change.moved.empty() ? PassPlan::Moved::No : PassPlan::Moved::Yes);
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
  if (cleaning_ || !states_.synced()) return;
  const auto left = workLeft();
  const auto next = plan_.ended(left, controller_->nextCollect(), clock_.now());
  if (next.atOnce) loop_.poke();
  if (next.at) {
    loop_.timers().at(*next.at, [this] {
      plan_.collectDue();
      loop_.poke();
    });
  }
  if (left == 0 && !plan_.moving()) {
    if (firstArrival_) metrics_.updateLatency(clock_.now() - *firstArrival_);
    firstArrival_.reset();
  }
  if (left == 0 && !plan_.more()) {
    if (serving_) keeper_.settled();
    waiters_.settled();
  }
  if (readiness_.passEnded(left)) {
    releaseStartMemory();
    log::info("ready", {{"endpoints", controller_->engine().counts().localEndpoints}});
  }
  kernel_->report(metrics_);
  noticeLog_.report(*controller_, states_.all(), clock_.now());
  reporter_.report(report, *controller_, states_, noticeLog_);
  if (statusReporter_) reportStatus();
}

/// Of what is in the kernel now. O(endpoints of the node) when something is different.
void Daemon::reportStatus() {
  const auto options = felixStatusOptions(settings_.nodeName, parameters_.get());
  const bool same = options == statusReporter_->options();
  statusReporter_->setOptions(options);
  if (!options.endpoints || (same && reportedRevision_ == controller_->revision())) return;
  reportedRevision_ = controller_->revision();
  statusReporter_->setEndpoints(endpointStatuses(options, controller_->interfaces(),
                                                 controller_->problems(), reportedLinks_));
}

Daemon::WaitResult Daemon::waitConverged(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto waiter = std::make_shared<SettleWaiters::Waiter>();
  auto done = waiter->done.get_future();
  const bool posted = tasks_.post([this, waiter] {
    const auto barrier = waiters_.add(waiter);
    for (auto& source : sources_) source->relist(barrier);
  });
  if (posted && done.wait_until(deadline) != std::future_status::ready)
    return {false, unsettled(waiter)};
  if (posted && done.get()) return {true, {}};
  return {false, {"margay-node ends"}};
}

std::vector<std::string> Daemon::unsettled(const std::shared_ptr<SettleWaiters::Waiter>& waiter) {
  const auto why = ask<std::vector<std::string>>([this, waiter] {
    waiters_.remove(waiter);
    return missing(*waiter);
  });
  return why.value_or(std::vector<std::string>{"margay-node is busy"});
}

std::vector<std::string> Daemon::missing(const SettleWaiters::Waiter& waiter) const {
  auto out = states_.missing();
  for (const auto* table : kernel_->tables()) {
    const auto status = table->status();
    if (status.pending == 0) continue;
    auto line = status.name + ": " + std::to_string(status.pending) + " changes are pending";
    if (const auto& error = status.lastError)
      line +=
          "; last error: " + error->key.substr(0, error->key.find('\n')) + ": " + error->error.what;
    out.push_back(std::move(line));
  }
  if (!waiter.listed) out.emplace_back("a source has not listed again yet");
  return out;
}

std::string Daemon::notReadyBecause() const {
  return readiness_.notReadyBecause();
}

bool Daemon::alive() const {
  return liveness_.alive(loop_.progress(), clock_.now());
}

StatusView Daemon::statusView() const {
  StatusView view;
  view.nodeName = settings_.nodeName;
  view.notReadyBecause = notReadyBecause();
  const auto& choice = keeper_.choice();
  view.backend =
      std::string(choice.backend == Backend::Nft ? "nftables (tables ip margay, ip6 margay)"
                                                 : "iptables (legacy tables)") +
      ": " + choice.why;
  view.sources = states_.all();
  for (const auto* table : kernel_->tables()) view.tables.push_back(table->status());
  view.now = clock_.now();
  view.counts = controller_->engine().counts();
  view.remarks = remarks(*controller_);
  view.skippedRoutes = controller_->skippedRoutes();
  view.parameterProblems = parameters_.get().problems();
  view.warnings = settings_.warnings;
  auto accepts = keeper_.acceptReport();
  view.droppingChains = std::move(accepts.done);
  view.warnings.insert(view.warnings.end(), accepts.warnings.begin(), accepts.warnings.end());
  if (!ruleError_.empty()) view.warnings.push_back("a rule cannot be written: " + ruleError_);
  return view;
}

std::vector<TablePlan> Daemon::pendingPlans() const {
  std::vector<TablePlan> out;
  for (const auto* table : kernel_->tables()) out.push_back({table->name(), table->plan()});
  return out;
}

}  // namespace margay::agent
