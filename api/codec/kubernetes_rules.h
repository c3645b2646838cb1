#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/json_reader.h"
#include "api/model/policy.h"

/// What Kubernetes' kinds of policy have in common: label selectors, ports, and that Calico has one
/// rule for each protocol and peer. Pure; errors go to the readers.
namespace margay::api {

/// The selector of pods with these labels; of all pods when absent.
[[nodiscard]] std::string podSelector(const std::optional<JsonReader>& labels);
/// The selector of namespaces with these labels, all() for no terms; empty when absent.
[[nodiscard]] std::string namespaceSelector(const std::optional<JsonReader>& labels);

/// An address with a length behind it; host bits are cleared.
[[nodiscard]] std::optional<Prefix> readCidr(const std::string& text);

/// Ports of one protocol; none and not `all`: no port.
struct ProtocolPorts {
  bool all = false;
  std::vector<Port> ports;
};
/// By name of the protocol: TCP, UDP or SCTP; "" is any protocol.
using PortsByProtocol = std::map<std::string, ProtocolPorts>;

/// The number of TCP, UDP or SCTP.
[[nodiscard]] std::optional<std::uint8_t> transportNumber(std::string_view protocol);

/// A rule of Kubernetes: what it does with packets to or from any of the peers on any of the ports.
struct KubernetesRule {
  RuleAction action = RuleAction::Allow;
  std::string name;
  std::vector<EntityRule> peers;  ///< none: everyone
  PortsByProtocol ports;
};
/// One rule for each protocol (in the order of their names) and peer.
[[nodiscard]] std::vector<PolicyRule> rulesFor(const KubernetesRule& rule,
                                               PolicyDirection direction);

/// How a kind of policy treats an entry of its lists of rules.
struct RuleConversion {
  std::function<KubernetesRule(const JsonReader&)> read;
  /// What stands for a rule that has errors, as read so far; none: it is left out.
  std::function<std::optional<PolicyRule>(const KubernetesRule&)> instead;
};
/// The rules of `spec.ingress` or `spec.egress`. Errors of a rule go to `out` and say what became
/// of it.
[[nodiscard]] std::vector<PolicyRule> convertRules(const nlohmann::json& spec,
                                                   PolicyDirection direction,
                                                   const RuleConversion& conversion, Decoded& out);

}  // namespace margay::api
