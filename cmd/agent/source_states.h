#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/store/mailbox.h"
#include "base/result.h"

namespace margay::agent {

/// What the sources said of themselves last. The loop's thread.
class SourceStates {
 public:
  void add(const std::string& source) {
    states_[source];
    ++version_;
  }
  /// Logs each object that cannot be used once when it comes, and once when it is good again.
  void take(const std::map<std::string, api::SourceState>& states);

  /// Every source has finished its first list.
  [[nodiscard]] bool synced() const;
  /// An error if a source that has not listed says why it cannot.
  [[nodiscard]] Result<void> listable() const;
  /// The sources that have not listed or are away, a line each.
  [[nodiscard]] std::vector<std::string> missing() const;
  /// How many full lists all sources have made.
  [[nodiscard]] std::uint64_t lists() const;
  [[nodiscard]] const std::map<std::string, api::SourceState>& all() const { return states_; }
  /// Another number whenever `all` may say something else.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  std::map<std::string, api::SourceState> states_;
  std::uint64_t version_ = 0;
};

}  // namespace margay::agent
