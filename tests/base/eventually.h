#pragma once

#include <chrono>
#include <thread>

namespace margay::testing {

/// Until `condition` holds or `patience` is over; returns whether it holds.
template <class Condition>
bool eventually(Condition condition,
                std::chrono::milliseconds patience = std::chrono::milliseconds(8000)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace margay::testing
