#include "cmd/agent/backend_keeper.h"

#include <algorithm>

#include "base/log.h"

namespace margay::agent {
namespace {

constexpr std::chrono::seconds kRepairInterval{1};

}  // namespace

BackendKeeper::BackendKeeper(Kernel& kernel, reconcile::Loop& loop, BackendChoice choice,
                             Wiring wiring)
    : kernel_(kernel), loop_(loop), choice_(std::move(choice)), wiring_(std::move(wiring)) {}

Result<void> BackendKeeper::begin() {
  log::info("rule backend", {{"backend", backendText(choice_.backend)}, {"why", choice_.why}});
  return registerTables();
}

Result<void> BackendKeeper::registerTables() {
  std::vector<reconcile::Table*> tables = kernel_.tables();
  tables.insert(tables.end(), leaving_.begin(), leaving_.end());
  loop_.setTables(std::move(tables));
  const int fd = kernel_.rules().fd();
  if (fd == watched_) return {};
  if (watched_ >= 0) loop_.unwatch(watched_);
  watched_ = fd;
  if (fd < 0) return {};
  return loop_.watch(fd, [this] { noticed(); });
}

/// Somebody else changed our rules: put right at once, but not more than once a second, so that two
/// who disagree do not fight.
void BackendKeeper::noticed() {
  kernel_.rules().readEvents();
  const TimePoint next = lastRepair_ + kRepairInterval;
  if (loop_.now() >= next) {
    repair();
  } else if (!repairDue_) {
    repairDue_ = true;
    loop_.timers().at(next, [this] { repair(); });
  }
}

void BackendKeeper::repair() {
  repairDue_ = false;
  lastRepair_ = loop_.now();
  kernel_.rules().takeEvents(lastRepair_);
  loop_.poke();
}

bool BackendKeeper::survey() {
  auto survey = surveyor_.survey();
  if (!survey) {
    log::warn("cannot look at the host's packet filters", {{"error", survey.error().what}});
    return false;
  }
  seen_ = std::move(*survey);
  if (cleaning_) {
    seen_.legacy.dropping.clear();
    seen_.nft.dropping.clear();
  }
  return true;
}

/// As the last survey asks for.
void BackendKeeper::accept() {
  auto plan = acceptPlan(choice_.backend, seen_, wiring_.options());
  const bool others = kernel_.accept(plan);
  if (others) (void)registerTables().has_value();
  if (others || !sameAccepts(plan, accepted_)) loop_.poke();
  accepted_ = std::move(plan);
}

void BackendKeeper::settled() {
  if (state_ == State::Swept) return;
  if (state_ == State::Arriving) {
    if (!survey()) return;
    leaving_ = kernel_.beginSweep(seen_, wiring_.options());
    state_ = leaving_.empty() ? State::Swept : State::Sweeping;
    if (state_ == State::Swept) return accept();
    log::info("sweeping what the other rule backend holds of ours");
    (void)registerTables().has_value();
    return loop_.poke();
  }
  const bool done = std::all_of(leaving_.begin(), leaving_.end(), [](const auto* table) {
    return table->status().lastList && table->status().converged();
  });
  if (!done) return;
  leaving_.clear();
  (void)registerTables().has_value();
  kernel_.endSweep();
  state_ = State::Swept;
  log::info("the other rule backend holds nothing of ours any more");
  if (survey()) accept();
}

void BackendKeeper::look(const api::Parameters& parameters) {
  if (state_ == State::Sweeping || !survey()) return;
  auto choice = chooseBackend(parameters, seen_, choice_.backend);
  if (choice.backend == choice_.backend) {
    choice_.why = std::move(choice.why);
    seenOnce_.reset();
  } else if (followsOrder(parameters, choice)) {
    switchTo(choice);
  }
  accept();
}

/// Orders are followed at once, what Auto finds when it finds it twice.
bool BackendKeeper::followsOrder(const api::Parameters& parameters, const BackendChoice& choice) {
  const bool order =
      parameters.text("IptablesBackend") != "Auto" || parameters.text("NFTablesMode") == "Enabled";
  const bool again = seenOnce_ == choice.backend;
  seenOnce_ = choice.backend;
  if (!order && !again) return false;
  seenOnce_.reset();
  return true;
}

void BackendKeeper::cleanUp() {
  cleaning_ = true;
  if (survey()) accept();
}

AcceptReport BackendKeeper::acceptReport() const {
  return agent::acceptReport(choice_.backend, seen_, wiring_.options());
}

void BackendKeeper::switchTo(const BackendChoice& choice) {
  // The old backend's descriptor closes with it.
  if (watched_ >= 0) loop_.unwatch(watched_);
  watched_ = -1;
  if (auto switched = kernel_.switchTo(choice.backend); !switched) {
    log::error("cannot switch the rule backend; the one before stays in force",
               {{"backend", backendText(choice.backend)}, {"why", switched.error().what}});
    (void)registerTables().has_value();
    return;
  }
  log::info("switching the rule backend",
            {{"backend", backendText(choice.backend)}, {"why", choice.why}});
  choice_ = choice;
  state_ = State::Arriving;
  if (auto registered = registerTables(); !registered)
    log::warn("changes of rules by others will be found late",
              {{"error", registered.error().what}});
  wiring_.rebuild();
  loop_.poke();
}

}  // namespace margay::agent
