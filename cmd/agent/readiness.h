#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace margay::agent {

/// Why the node is not ready. Ready comes once, with the first pass that leaves nothing to do, and
/// stays: later errors of the kernel are the tables' to report. Any thread.
class Readiness {
 public:
  /// `obstacle`: what no pass can put right; empty if there is nothing of the kind.
  explicit Readiness(std::string obstacle = {});

  /// What the sources' first list waits for, a line each.
  void waitFor(const std::vector<std::string>& missing);
  /// A pass after the sources' first list left `left` changes. True for the one that makes ready.
  bool passEnded(std::size_t left);
  /// Empty when the node is ready.
  [[nodiscard]] std::string notReadyBecause() const;
  /// A pass has ended since the sources' first list.
  [[nodiscard]] bool listed() const;

 private:
  const std::string obstacle_;
  mutable std::mutex mutex_;
  std::string why_;
  bool listed_ = false;
};

}  // namespace margay::agent
