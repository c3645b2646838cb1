#pragma once

#include <map>
#include <optional>
#include <utility>

#include "base/result.h"

namespace margay::testing {

/// Lets the n-th call of a fake fail, counted from 1 since the fake was made. A list or a read is
/// one call, an apply is one call a change: so a sweep over n fails every single step once.
class CallFailures {
 public:
  void failCall(unsigned n, Error error) { planned_.insert_or_assign(n, std::move(error)); }
  [[nodiscard]] unsigned calls() const { return calls_; }

 protected:
  ~CallFailures() = default;
  /// Counts a call. A value: it fails.
  std::optional<Error> nextCall() {
    const auto found = planned_.find(++calls_);
    if (found == planned_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::map<unsigned, Error> planned_;
  unsigned calls_ = 0;
};

}  // namespace margay::testing
