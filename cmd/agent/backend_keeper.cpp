#include "cmd/agent/backend_keeper.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"

namespace margay::agent {
namespace {

constexpr std::chrono::seconds kRepairInterval{1};

}  // namespace

BackendKeeper::BackendKeeper(Kernel& kernel, reconcile::Loop& loop, BackendChoice choice,
                             std::function<void()> rebuild)
    : kernel_(kernel), loop_(loop), choice_(std::move(choice)), rebuild_(std::move(rebuild)) {}

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

void BackendKeeper::settled() {
  if (state_ == State::Arriving) {
    leaving_ = kernel_.beginSweep();
    state_ = leaving_.empty() ? State::Swept : State::Sweeping;
    if (leaving_.empty()) return;
    log::info("sweeping what the other rule backend holds of ours");
    (void)registerTables().has_value();
    loop_.poke();
  } else if (state_ == State::Sweeping) {
    const bool done = std::all_of(leaving_.begin(), leaving_.end(), [](const auto* table) {
      return table->status().lastList && table->status().converged();
    });
    if (!done) return;
    leaving_.clear();
    (void)registerTables().has_value();
    kernel_.endSweep();
    state_ = State::Swept;
    log::info("the other rule backend holds nothing of ours any more");
  }
}

void BackendKeeper::look(const api::Parameters& parameters) {
  if (state_ == State::Sweeping) return;
  const auto survey = dataplane::surveyRules();
  if (!survey) {
    log::warn("cannot look at the host's packet filters", {{"error", survey.error().what}});
    return;
  }
  dropping_ = survey->nft.dropping;
  dropping_.insert(dropping_.end(), survey->legacy.dropping.begin(), survey->legacy.dropping.end());
  auto choice = chooseBackend(parameters, *survey, choice_.backend);
  if (choice.backend == choice_.backend) {
    choice_.why = std::move(choice.why);
    seenOnce_.reset();
    return;
  }
  const bool order =
      parameters.text("IptablesBackend") != "Auto" || parameters.text("NFTablesMode") == "Enabled";
  if (!order && seenOnce_ != choice.backend) {
    seenOnce_ = choice.backend;
    return;
  }
  seenOnce_.reset();
  switchTo(choice);
}

std::vector<std::string> BackendKeeper::warnings(std::uint32_t acceptMark) const {
  std::vector<std::string> out;
  if (choice_.backend != Backend::Nft) return out;
  char mark[32];
  std::snprintf(mark, sizeof mark, "0x%x/0x%x", acceptMark, acceptMark);
  for (const auto& [table, chain] : dropping_) {
    out.push_back("chain " + chain + " of table " + table +
                  " drops what it has no rule for, also packets of workloads that policy allows: "
                  "accept packets with mark " +
                  mark + " there, or set its policy to accept");
  }
  return out;
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
  rebuild_();
  loop_.poke();
}

}  // namespace margay::agent
