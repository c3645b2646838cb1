#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/log.h"
#include "base/version.h"
#include "cmd/agent/agent.h"
#include "cmd/agent/settings.h"

namespace margay {
namespace {

int failed(const std::string& line) {
  std::cerr << "margay-node: " << line << '\n';
  return 1;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Margay, the network agent of a container host. Its environment variables are those of "
      "Calico's node.",
      "margay-node"};
  bool once = false;
  bool dryRun = false;
  bool cleanup = false;
  bool version = false;
  std::string config;
  auto* onceFlag =
      app.add_flag("--once", once, "converge, print a summary of the changes as JSON, exit");
  app.add_flag("--dry-run", dryRun, "with --once: print the plan, change nothing")->needs(onceFlag);
  app.add_flag("--cleanup", cleanup, "remove everything it ever programmed, exit")
      ->excludes(onceFlag);
  app.add_option("--config", config, "felix.cfg to read instead of /etc/calico/felix.cfg");
  app.add_flag("--version", version, "print the version, exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    std::string line = error.what();
    std::replace(line.begin(), line.end(), '\n', ' ');
    failed(line + " ('margay-node --help')");
    return 2;
  }
  if (version) {
    std::cout << "margay-node " << kVersion << '\n';
    return 0;
  }
  auto settings = agent::readSettings(agent::processEnvironment(), config);
  if (!settings) return failed(settings.error().what);
  const auto mode = cleanup  ? agent::Mode::Cleanup
                    : dryRun ? agent::Mode::DryRun
                    : once   ? agent::Mode::Once
                             : agent::Mode::Daemon;
  auto made = agent::Agent::create(std::move(*settings), mode);
  if (!made) return failed(made.error().what);
  const auto done = (*made)->run(std::cout);
  if (!done) return failed(done.error().what);
  return 0;
}

}  // namespace
}  // namespace margay

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  // One arena: what a source's thread allocates and the loop frees is used again, which saves a
  // third.
  mallopt(M_ARENA_MAX, 1);
  // Threads inherit this: only the loop, which reads them as a file descriptor, sees these signals.
  sigset_t stopSignals;
  sigemptyset(&stopSignals);
  sigaddset(&stopSignals, SIGTERM);
  sigaddset(&stopSignals, SIGINT);
  sigaddset(&stopSignals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stopSignals, nullptr);
  try {
    return margay::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "margay-node: internal error, please report: " << error.what() << '\n';
    return 1;
  }
}
