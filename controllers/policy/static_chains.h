#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "controllers/policy/dispatch.h"
#include "controllers/policy/rules.h"
#include "dataplane/model/rule.h"

/// The chains that stay while pods and policies come and go, and the hooks that lead to them. Pure;
/// any thread.
namespace margay::controllers {

enum class HostAction : std::uint8_t { Drop, Return, Accept };
enum class AllowAction : std::uint8_t { Accept, Return };
enum class InvalidPackets : std::uint8_t { Drop, Ignore };
enum class Encapsulation : std::uint8_t { Drop, Allow };

struct StaticOptions {
  RuleOptions rules;
  std::vector<std::string> interfacePrefixes{"cali"};
  HostAction endpointToHost = HostAction::Drop;  ///< DefaultEndpointToHostAction
  AllowAction allow = AllowAction::Accept;       ///< IptablesFilterAllowAction
  InvalidPackets invalid = InvalidPackets::Drop;
  Encapsulation ipip = Encapsulation::Drop;  ///< of packets that workloads send
  Encapsulation vxlan = Encapsulation::Drop;
  std::vector<std::uint16_t> vxlanPorts{4789, 8472};
  Dispatch dispatch = Dispatch::Sets;
  dataplane::Position insert = dataplane::Position::First;  ///< ChainInsertMode
  bool operator==(const StaticOptions&) const = default;
};

/// Raw table. PREROUTING sends what comes from workload interfaces to a check of its source, before
/// conntrack knows the packet: address and interface must be in localSet, or in `shared`; else it
/// is dropped. IPv6 neighbour discovery passes; IPv4 packets to 127.0.0.0/8 do not.
[[nodiscard]] dataplane::RuleTable rawTable(Family family, const StaticOptions& options,
                                            std::span<const SharedSource> shared);

/// Filter table without dispatch, group and policy chains, which the caller adds (dispatchChains,
/// GroupChains). Hooks match nothing outside workload interfaces:
///   FORWARD: policy of the sender, then of the receiver; what no end has dropped is accepted
///   behind all other rules by the accept mark (with maps it is not: an accept in a table of our
///   own is no last word; `acceptHooks` is for who drops behind it). INPUT: policy of the sender,
///   then `endpointToHost`. Established flows and, in IPv6, ICMPv6 that a router must hear are
///   accepted before.
/// Packets from the host to workloads pass, as with Calico.
[[nodiscard]] dataplane::RuleTable filterTable(Family family, const StaticOptions& options);

/// How packets that our tables let pass are known in chains of others: by the accept mark and as
/// established flows, where our tables are asked first; where nobody knows which come first, as
/// packets of workload interfaces, since what our tables drop is lost wherever else it is accepted.
enum class AcceptBy : std::uint8_t { Mark, Interface };

/// What accepts such packets at the end of FORWARD and INPUT of others that drop by policy. With
/// AllowAction::Return nothing: what others drop is their business then.
[[nodiscard]] std::vector<dataplane::HookRule> acceptHooks(const StaticOptions& options,
                                                           AcceptBy by);

}  // namespace margay::controllers
