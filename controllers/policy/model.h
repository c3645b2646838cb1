#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"
#include "dataplane/model/ipset.h"

/// What the policy calculation produces: the input of the rule builder, of `margayctl inspect`, and
/// of tests. All values; immutable once shared.
namespace margay::controllers {

enum class SetKind : std::uint8_t {
  Selector,       ///< addresses of endpoints and nets of network sets that match a selector
  NamedPort,      ///< address, protocol, port of endpoints that match and have a port of that name
  Service,        ///< address, protocol, port of a service's endpoints
  ServiceNoPort,  ///< addresses of a service's endpoints
};

/// Identity of a set that rules refer to; the same in both families.
struct SetId {
  SetKind kind = SetKind::Selector;
  std::string selector;       ///< canonical; Selector and NamedPort
  std::uint8_t protocol = 0;  ///< NamedPort
  std::string portName;       ///< NamedPort
  api::ServiceRef service;    ///< Service, ServiceNoPort
  auto operator<=>(const SetId&) const = default;
  bool operator==(const SetId&) const = default;
};

/// Kernel name of the set for a family: "mgy4-s-<slug>-<hash>", at most 31 bytes, stable across
/// restarts.
[[nodiscard]] dataplane::SetName setName(const SetId& id, Family family);
[[nodiscard]] dataplane::SetType setType(SetKind kind);

/// One end of a rule with selectors resolved to sets. Every member restricts; within `nets`, and
/// within `ports` with `namedPorts`, one hit is enough; no hit is allowed in the not... lists.
struct ResolvedEnd {
  std::vector<Prefix> nets;
  std::vector<Prefix> notNets;
  std::vector<SetId> sets;  ///< Selector, ServiceNoPort: all must contain the address
  std::vector<SetId> notSets;
  std::vector<SetId> portSets;  ///< Service: all must contain (address, protocol, port)
  std::vector<api::PortRange> ports;
  std::vector<SetId> namedPorts;
  std::vector<api::PortRange> notPorts;
  std::vector<SetId> notNamedPorts;
  bool operator==(const ResolvedEnd&) const = default;
};

struct ResolvedRule {
  api::RuleAction action = api::RuleAction::Allow;
  std::optional<Family> ipVersion;
  std::optional<std::uint8_t> protocol;
  std::optional<std::uint8_t> notProtocol;
  std::optional<api::IcmpFields> icmp;
  std::optional<api::IcmpFields> notIcmp;
  ResolvedEnd source;
  ResolvedEnd destination;
  bool operator==(const ResolvedRule&) const = default;
};

/// The rules of one direction of a policy or profile, known by their content: policies of one bare
/// name and tier with equal rules share it, profiles with equal rules share it.
struct RuleList {
  std::string label;  ///< bare policy name ("default-deny"); empty for profiles
  std::string tier;   ///< empty for profiles
  std::vector<ResolvedRule> rules;
  std::string hash;  ///< 16 hex digits of the content, label and tier included: names the chain
};
using RuleListPtr = std::shared_ptr<const RuleList>;

struct GroupTier {
  std::string name;
  api::TierDefault defaultAction = api::TierDefault::Deny;
  std::vector<RuleListPtr> policies;  ///< in order
};

/// Local workloads whose reachable policies and profiles are the same in one direction.
struct Group {
  api::PolicyDirection direction = api::PolicyDirection::Ingress;
  std::vector<GroupTier> tiers;       ///< only those with a policy of this direction
  std::vector<RuleListPtr> profiles;  ///< rule-less ones left out
  std::string hash;                   ///< 16 hex digits of the content: names chain and set
};
using GroupPtr = std::shared_ptr<const Group>;

/// A policy that applies to an endpoint, by name: "namespace/name" or "name".
struct EndpointTier {
  std::string name;
  std::vector<std::string> ingress;
  std::vector<std::string> egress;
  bool operator==(const EndpointTier&) const = default;
};

/// A workload of this node with what the calculation found for it.
struct LocalEndpoint {
  Shared<api::WorkloadEndpoint> endpoint;
  std::vector<EndpointTier> tiers;  ///< in order; only tiers with a policy that selects it
  GroupPtr ingress;
  GroupPtr egress;
  std::string interfaceName;  ///< of the host side, never empty
};

/// Members that came to a set and that left it: no member is in both, or twice.
struct SetMembersChange {
  SetId set;
  std::vector<dataplane::SetMember> added;    ///< sorted
  std::vector<dataplane::SetMember> removed;  ///< sorted
};

/// What `PolicyEngine::flush` changed since the one before.
struct PolicyDelta {
  std::vector<SetId> setsAdded;           ///< all their members are in `members`
  std::vector<SetId> setsRemoved;         ///< none of their members is
  std::vector<SetMembersChange> members;  ///< at most one a set
  std::vector<std::shared_ptr<const LocalEndpoint>> endpointsChanged;
  std::vector<api::ObjectKey> endpointsRemoved;
  std::vector<GroupPtr> groupsAdded;
  std::vector<GroupPtr> groupsRemoved;
};

}  // namespace margay::controllers
