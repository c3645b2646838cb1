#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/model/labels.h"
#include "base/address.h"
#include "base/shared_string.h"

/// Policy values, as projectcalico.org/v3 has them after defaults. Selectors are kept as text in
/// canonical form; they have been parsed once by validation, so parsing them again cannot fail.
namespace margay::api {

enum class RuleAction : std::uint8_t { Allow, Deny, Log, Pass };
enum class PolicyDirection : std::uint8_t { Ingress, Egress };

struct PortRange {
  std::uint16_t first = 0;  ///< inclusive
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

/// An entry of `ports`: a range, or a name of a container port.
struct Port {
  PortRange range;
  std::string name;  ///< not empty: a named port, `range` is unused
  bool operator==(const Port&) const = default;
};

struct IcmpFields {
  std::optional<std::uint8_t> type;
  std::optional<std::uint8_t> code;
  bool operator==(const IcmpFields&) const = default;
};

struct ServiceRef {
  std::string ns;
  std::string name;
  auto operator<=>(const ServiceRef&) const = default;
};

/// One end of a rule, as written. Empty members do not restrict.
struct EntityRule {
  std::vector<Prefix> nets;
  std::vector<Prefix> notNets;
  std::string selector;
  std::string notSelector;
  std::string namespaceSelector;
  std::vector<std::string> serviceAccountNames;
  std::string serviceAccountSelector;
  std::optional<ServiceRef> services;
  std::vector<Port> ports;
  std::vector<Port> notPorts;
  bool operator==(const EntityRule&) const = default;
};

struct PolicyRule {
  RuleAction action = RuleAction::Allow;
  std::optional<Family> ipVersion;
  std::optional<std::uint8_t> protocol;  ///< IPPROTO_*
  std::optional<std::uint8_t> notProtocol;
  std::optional<IcmpFields> icmp;
  std::optional<IcmpFields> notIcmp;
  EntityRule source;
  EntityRule destination;
  std::string name;  ///< for people only; often empty
  bool operator==(const PolicyRule&) const = default;
};

/// NetworkPolicy, GlobalNetworkPolicy, and Kubernetes' policies after conversion, under their names
/// in Kubernetes: NetworkPolicy (tier default, order 1000), ClusterNetworkPolicy,
/// AdminNetworkPolicy and BaselineAdminNetworkPolicy (global, in tiers of their own, order =
/// priority).
struct Policy {
  SharedString ns;  ///< empty: global
  std::string name;
  std::string tier = "default";
  std::optional<double> order;  ///< none: last
  std::string selector;         ///< of the endpoints it applies to, as written; empty is all()
  std::string namespaceSelector;
  std::string serviceAccountSelector;
  bool appliesToIngress = false;
  bool appliesToEgress = false;
  bool doNotTrack = false;
  bool preDnat = false;
  bool applyOnForward = false;
  std::vector<PolicyRule> ingress;
  std::vector<PolicyRule> egress;
  bool operator==(const Policy&) const = default;
};

enum class TierDefault : std::uint8_t { Deny, Pass };
struct Tier {
  std::string name;
  std::optional<double> order;  ///< none: last
  TierDefault defaultAction = TierDefault::Deny;
  bool operator==(const Tier&) const = default;
};
inline constexpr double kDefaultTierOrder = 1'000'000;
/// Tiers of ClusterNetworkPolicy, and of AdminNetworkPolicy and BaselineAdminNetworkPolicy.
inline constexpr std::string_view kAdminTier = "kube-admin";
inline constexpr std::string_view kBaselineTier = "kube-baseline";
inline constexpr std::string_view kOlderAdminTier = "adminnetworkpolicy";
inline constexpr std::string_view kOlderBaselineTier = "baselineadminnetworkpolicy";
/// Tiers that exist without being written: `default` and those above, which pass what their
/// policies do not decide.
[[nodiscard]] std::optional<Tier> builtInTier(std::string_view name);

struct Profile {
  std::string name;
  Labels labelsToApply;
  std::vector<PolicyRule> ingress;
  std::vector<PolicyRule> egress;
  bool operator==(const Profile&) const = default;
};

}  // namespace margay::api
