#pragma once

#include <exception>
#include <string_view>

#include "base/log.h"

namespace margay::reconcile {

/// Runs `work`; an exception ends in the log, and the result is false.
template <class Work>
bool guarded(std::string_view what, Work work) {
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    log::error("exception in the loop", {{"in", what}, {"error", error.what()}});
  } catch (...) {
    log::error("exception in the loop", {{"in", what}, {"error", "of unknown type"}});
  }
  return false;
}

}  // namespace margay::reconcile
