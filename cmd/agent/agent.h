#pragma once

#include <memory>
#include <ostream>

#include "base/result.h"
#include "cmd/agent/settings.h"

/// margay-node: sources, controllers, kernel tables, servers and the loop, put together. No logic
/// of its own.
namespace margay::agent {

enum class Mode {
  Daemon,   ///< until SIGTERM
  Once,     ///< converge, print a summary
  DryRun,   ///< print the plan
  Cleanup,  ///< remove everything of ours
};

class Agent {
 public:
  /// Checks what the mode needs of the kernel and the environment. Errors are one line that says
  /// what is missing and what to do.
  static Result<std::unique_ptr<Agent>> create(Settings settings, Mode mode);
  virtual ~Agent() = default;
  /// Returns when the mode is done. JSON of Once and DryRun goes to `out`.
  virtual Result<void> run(std::ostream& out) = 0;
};

}  // namespace margay::agent
