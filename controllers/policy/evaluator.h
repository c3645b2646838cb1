#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"

/// The plain evaluation of policy: short, obviously right, slow. `margayctl explain` answers with
/// it, and tests hold the incremental calculation and the kernel against it. Pure.
namespace margay::controllers {

/// The newest value of every object.
using Objects = std::map<api::ObjectKey, api::Value>;

struct Packet {
  Address source;
  Address destination;
  std::uint8_t protocol = 6;
  std::uint16_t sourcePort = 0;
  std::uint16_t destinationPort = 0;
  std::uint8_t icmpType = 0;
  std::uint8_t icmpCode = 0;
};

/// A decision on the way: of a rule, of the end of a tier, or of the end of the profiles.
struct Stage {
  std::string name;      ///< "egress" of the source, "ingress" of the destination
  std::string endpoint;  ///< "namespace/workload"
  std::string tier;      ///< empty for profiles
  std::string policy;  ///< "namespace/name", "name", or "profile NAME"; empty at the end of a tier
  std::string rule;    ///< "ingress[2]", "end of tier", "no profile matched"
  std::string action;  ///< "Allow", "Deny", "Pass", "Log"
  std::string ruleName = {};  ///< as the user called the rule; often empty
  bool operator==(const Stage&) const = default;
};

struct Verdict {
  bool allowed = false;
  std::vector<Stage> stages;
};

/// Whether a new flow that begins with `packet` passes. An end that is no workload has no policy
/// here, and with `node` one on another node has none either. O(objects).
[[nodiscard]] Verdict verdict(const Objects& objects, const Packet& packet,
                              std::string_view node = {});

/// The workload that has the address; of several, the first by key.
[[nodiscard]] Shared<api::WorkloadEndpoint> workloadAt(const Objects& objects,
                                                       const Address& address);

}  // namespace margay::controllers
