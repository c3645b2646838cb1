#pragma once

#include <chrono>
#include <string>

namespace margay {

/// "2024-03-01T10:20:30Z", as Kubernetes and Calico write times. Any thread.
[[nodiscard]] std::string utcTime(
    std::chrono::system_clock::time_point when = std::chrono::system_clock::now());

}  // namespace margay
