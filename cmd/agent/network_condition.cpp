#include "cmd/agent/network_condition.h"

#include <nlohmann/json.hpp>

namespace margay::agent {
namespace {

constexpr int kLooksUntilUnavailable = 3;

}  // namespace

std::optional<bool> NetworkCondition::look(bool ready) {
  notReady_ = ready ? 0 : notReady_ + 1;
  if (ready) return available_ == true ? std::nullopt : std::optional(true);
  if (available_ != true || notReady_ < kLooksUntilUnavailable) return std::nullopt;
  return false;
}

nlohmann::json networkConditionPatch(bool available, const std::string& now) {
  return {{"status",
           {{"conditions",
             {{{"type", "NetworkUnavailable"},
               {"status", available ? "False" : "True"},
               {"reason", available ? "MargayIsUp" : "MargayIsDown"},
               {"message",
                available ? "Margay is running on this node" : "Margay is not ready on this node"},
               {"lastHeartbeatTime", now},
               {"lastTransitionTime", now}}}}}}};
}

}  // namespace margay::agent
