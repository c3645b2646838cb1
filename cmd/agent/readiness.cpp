#include "cmd/agent/readiness.h"

#include <utility>

namespace margay::agent {

Readiness::Readiness(std::string obstacle)
    : obstacle_(std::move(obstacle)), why_("no source has listed yet") {}

void Readiness::waitFor(const std::vector<std::string>& missing) {
  std::string why;
  for (const auto& line : missing) why += (why.empty() ? "" : "; ") + line;
  const std::lock_guard lock(mutex_);
  why_ = std::move(why);
}

bool Readiness::passEnded(std::size_t left) {
  const std::lock_guard lock(mutex_);
  listed_ = true;
  if (!obstacle_.empty()) {
    why_ = obstacle_;
    return false;
  }
  if (why_.empty()) return false;
  if (left == 0) {
    why_.clear();
    return true;
  }
  why_ =
      "the kernel has not converged on the first list yet: see the tables' errors in margayctl "
      "status";
  return false;
}

std::string Readiness::notReadyBecause() const {
  const std::lock_guard lock(mutex_);
  return why_;
}

bool Readiness::listed() const {
  const std::lock_guard lock(mutex_);
  return listed_;
}

}  // namespace margay::agent
