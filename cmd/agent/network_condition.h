#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace margay::agent {

/// What Kubernetes is told about a node's network: that it is there once the node is ready, that it
/// is not after three looks in a row at which the node was not, and that it is back at the first
/// look at which it was. One thread.
class NetworkCondition {
 public:
  /// What to tell now, if anything; `told` when that is done.
  [[nodiscard]] std::optional<bool> look(bool ready);
  void told(bool available) { available_ = offered_ = available; }
  /// The network was told to be there, or that may have come through though nobody answered; so its
  /// end is to be told, too.
  [[nodiscard]] bool mayBeAvailable() const { return offered_; }

 private:
  std::optional<bool> available_;
  bool offered_ = false;
  int notReady_ = 0;
};

enum class Network : std::uint8_t { Up, NotReady, Leaving };

/// A strategic merge patch of a node's status with the condition NetworkUnavailable. `now`: as
/// Kubernetes writes times. Pure.
[[nodiscard]] nlohmann::json networkConditionPatch(Network network, const std::string& now);

}  // namespace margay::agent
