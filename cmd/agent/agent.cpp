#include "cmd/agent/agent.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "api/server/http.h"
#include "base/log.h"
#include "cmd/agent/backend_choice.h"
#include "cmd/agent/control.h"
#include "cmd/agent/daemon.h"
#include "cmd/agent/node_options.h"
#include "cmd/agent/node_publisher.h"
#include "cmd/agent/run_lock.h"
#include "cmd/agent/source_maker.h"
#include "cmd/agent/status_reporter.h"

namespace margay::agent {
namespace {

namespace fs = std::filesystem;

std::string firstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// kube-proxy in IPVS mode sends service traffic through OUTPUT, past the policy of workloads on
/// this node.
bool ipvsModeInUse(const dataplane::LinkMap& links) {
  return links.contains("kube-ipvs0");
}

Json summaryJson(const reconcile::OnceSummary& summary, std::uint64_t ruleCommits) {
  Json out = {{"converged", summary.converged},
              {"passes", summary.passes},
              {"ruleCommits", ruleCommits},
              {"tables", Json::array()}};
  for (const auto& table : summary.tables) {
    Json entry = {{"name", table.table},
                  {"add", table.changes.add},
                  {"replace", table.changes.replace},
                  {"remove", table.changes.remove},
                  {"pending", table.pending}};
    if (table.error)
      entry["error"] =
          table.error->key.substr(0, table.error->key.find('\n')) + ": " + table.error->error.what;
    out["tables"].push_back(std::move(entry));
  }
  return out;
}

std::string_view programText(Mode mode) {
  return mode == Mode::Once      ? "margay-node --once"
         : mode == Mode::Cleanup ? "margay-node --cleanup"
                                 : "margay-node";
}

/// None for a dry run, which changes nothing and makes no directory.
Result<std::optional<RunLock>> lockOf(const std::string& runDir, Mode mode) {
  if (mode == Mode::DryRun) return std::optional<RunLock>();
  std::error_code error;
  fs::create_directories(runDir, error);
  if (error) {
    return fail(Errc::Invalid, "cannot make " + runDir + ": " + error.message() +
                                   "; set MARGAY_RUN_DIR to a directory that can be written");
  }
  auto lock = RunLock::take(runDir, std::string(programText(mode)));
  if (!lock) return Fail(lock.error());
  return std::optional<RunLock>(std::move(*lock));
}

class AgentImpl final : public Agent {
 public:
  AgentImpl(Settings settings, Mode mode, std::optional<RunLock> lock,
            std::unique_ptr<Kernel> kernel, BackendChoice backend, controllers::NodeOptions options,
            api::Parameters parameters, const SourceMaker& makeSource)
      : settings_(std::move(settings)),
        mode_(mode),
        lock_(std::move(lock)),
        daemon_(settings_, std::move(kernel), std::move(backend), std::move(options),
                std::move(parameters), makeSource) {}

  Result<void> run(std::ostream& out) override {
    switch (mode_) {
      case Mode::Daemon:
        return runDaemon();
      case Mode::Once:
        return runOnce(out);
      case Mode::DryRun:
        return dryRun(out);
      case Mode::Cleanup:
        return cleanup(out);
    }
    return {};
  }

 private:
  Result<void> runDaemon() {
    for (const auto& warning : settings_.warnings) log::warn("configuration", {{"what", warning}});
    const auto publisher = NodePublisher::start(
        settings_, {.ready = [this] { return daemon_.notReadyBecause().empty(); },
                    .listed = [this] { return daemon_.listed(); }});
    if (!publisher) return Fail(publisher.error());
    auto reporter = StatusReporter::start(settings_);
    if (!reporter) return Fail(reporter.error());
    daemon_.reportTo(std::move(*reporter));
    return daemon_.run();
  }

  Result<void> runOnce(std::ostream& out) {
    if (auto listed = daemon_.listOnce(); !listed) return listed;
    const auto summary = daemon_.converge();
    out << summaryJson(summary, daemon_.ruleCommits()).dump(2) << '\n';
    if (summary.converged) return {};
    return fail(Errc::Transient,
                "not everything is in the kernel: see \"error\" and \"pending\" in the summary");
  }

  Result<void> dryRun(std::ostream& out) {
    if (auto listed = daemon_.listOnce(); !listed) return listed;
    out << planJson(daemon_.plan()).dump(2) << '\n';
    return {};
  }

  Result<void> cleanup(std::ostream& out) {
    const auto summary = daemon_.cleanUp();
    out << summaryJson(summary, daemon_.ruleCommits()).dump(2) << '\n';
    if (summary.converged) return {};
    return fail(Errc::Transient,
                "not everything could be removed: see \"error\" and \"pending\" in the summary");
  }

  Settings settings_;
  Mode mode_;
  std::optional<RunLock> lock_;
  Daemon daemon_;
};

/// With Auto a kernel that lacks what the host suggests gets the other.
Result<std::unique_ptr<Kernel>> openKernel(Kernel::Options options,
                                           const api::Parameters& parameters,
                                           BackendChoice& choice) {
  options.backend = choice.backend;
  auto kernel = Kernel::open(options);
  const bool isAuto =
      parameters.text("IptablesBackend") == "Auto" && parameters.text("NFTablesMode") != "Enabled";
  if (kernel || !isAuto) return kernel;
  options.backend = choice.backend == Backend::Nft ? Backend::Legacy : Backend::Nft;
  auto other = Kernel::open(options);
  if (!other) return kernel;
  choice = {options.backend, kernel.error().what};
  return other;
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::create(Settings settings, Mode mode) {
  log::setLevel(log::parseLevel(settings.environment.contains("MARGAY_LOG_LEVEL")
                                    ? settings.environment.at("MARGAY_LOG_LEVEL")
                                    : "info"));
  auto parameters = parametersOf(settings, std::nullopt, std::nullopt);
  const auto survey = dataplane::surveyRules();
  if (!survey) return Fail(survey.error());
  auto choice = chooseBackend(parameters, *survey, Backend::Nft);
  const auto optionsFor = [&](Backend backend) {
    return nodeOptionsOf(parameters,
                         {.backend = backend,
                          .networkingBackend = settings.networkingBackend,
                          .defaultRpFilter = firstLine("/proc/sys/net/ipv4/conf/default/rp_filter"),
                          .ipv6 = fs::exists("/proc/sys/net/ipv6/conf/all")});
  };
  auto options = optionsFor(choice.backend);
  if (!options) return Fail(options.error());
  auto source = sourceMaker(settings, *options);
  if (!source) return Fail(source.error());
  auto lock = lockOf(settings.runDir, mode);
  if (!lock) return Fail(lock.error());
  Kernel::Options kernelOptions;
  kernelOptions.families = options->families;
  kernelOptions.interfacePrefixes = options->statics.interfacePrefixes;
  kernelOptions.sysctlDir = settings.sysctlDir;
  kernelOptions.sysctlJournal = settings.runDir + "/sysctls-before";
  kernelOptions.tables.slice = 200'000;
  if (mode == Mode::Daemon) kernelOptions.purge = FlowPurge::Thread::Own;
  auto kernel = openKernel(kernelOptions, parameters, choice);
  if (!kernel) return Fail(kernel.error());
  if (options = optionsFor(choice.backend); !options) return Fail(options.error());
  const auto links = (*kernel)->links().list();
  if (!links) return Fail(links.error());
  if (mode != Mode::Cleanup && ipvsModeInUse(*links)) {
    settings.warnings.emplace_back(
        "kube-proxy runs in IPVS mode (kube-ipvs0 exists): its service traffic would pass by "
        "policy, so this node is not ready; use kube-proxy's iptables mode");
  }
  return std::make_unique<AgentImpl>(std::move(settings), mode, std::move(*lock),
                                     std::move(*kernel), std::move(choice), std::move(*options),
                                     std::move(parameters), *source);
}

}  // namespace margay::agent
