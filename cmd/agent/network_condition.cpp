#include "cmd/agent/network_condition.h"

#include <nlohmann/json.hpp>

namespace margay::agent {
namespace {

constexpr int kLooksUntilUnavailable = 3;

const char* messageOf(Network network) {
  switch (network) {
    case Network::Up:
      return "Margay is running on this node";
    case Network::NotReady:
      return "Margay is not ready on this node";
    case Network::Leaving:
      break;
  }
  return "Margay is shutting down on this node";
}

}  // namespace

std::optional<bool> NetworkCondition::look(bool ready) {
  notReady_ = ready ? 0 : notReady_ + 1;
  if (ready) {
    offered_ = true;
    return available_ == true ? std::nullopt : std::optional(true);
  }
  if (available_ != true || notReady_ < kLooksUntilUnavailable) return std::nullopt;
  return false;
}

nlohmann::json networkConditionPatch(Network network, const std::string& now) {
  const bool available = network == Network::Up;
  return {{"status",
           {{"conditions",
             {{{"type", "NetworkUnavailable"},
               {"status", available ? "False" : "True"},
               {"reason", available ? "MargayIsUp" : "MargayIsDown"},
               {"message", messageOf(network)},
               {"lastHeartbeatTime", now},
               {"lastTransitionTime", now}}}}}}};
}

}  // namespace margay::agent
