#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "api/model/network_set.h"
#include "api/model/node.h"
#include "base/address.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"

/// Address translation of workloads that leave the cluster. Pure; any thread.
namespace margay::controllers {

enum class NatExclusions : std::uint8_t { Pools, PoolsAndHosts };

struct NatOptions {
  std::optional<Address> address;  ///< NATOutgoingAddress; none: the outgoing interface's
  std::optional<dataplane::PortRange> ports;  ///< NATPortRange, for TCP and UDP
  NatExclusions exclusions = NatExclusions::Pools;
  std::string outInterface;  ///< IptablesNATOutgoingInterfaceFilter; a final '+' is a prefix
  bool operator==(const NatOptions&) const = default;
};

struct NatSet {
  dataplane::SetSpec spec;
  std::set<dataplane::SetMember> members;
  bool operator==(const NatSet&) const = default;
};

struct NatTables {
  std::vector<NatSet> sets;  ///< "mgy4-hosts" (if asked for), "mgy4-masq", "mgy4-pools"
  dataplane::RuleTable table;
};

/// Packets whose source is in a pool with natOutgoing and whose destination is in no pool get the
/// host's address: one hook behind all other rules of POSTROUTING, so that kube-proxy's masquerade
/// runs first. A disabled pool counts as any other, as with Calico: it only gives no new addresses.
/// Without a pool that asks for it there are neither rules nor sets. `nodes` matter with
/// NatExclusions::PoolsAndHosts only.
[[nodiscard]] NatTables natTables(Family family, std::span<const api::IPPool> pools,
                                  std::span<const api::Node> nodes, const NatOptions& options);

}  // namespace margay::controllers
