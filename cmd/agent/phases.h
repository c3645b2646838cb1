#pragma once

#include "reconcile/table.h"

/// The order in which a pass brings changes into the kernel; DESIGN.md says why.
namespace margay::agent {

inline constexpr reconcile::Phase kLeave = 0;  ///< who may no longer send, and routes to them
inline constexpr reconcile::Phase kSets =
    1;  ///< new sets with their members, additions to selector sets
inline constexpr reconcile::Phase kRules = 2;  ///< one commit a table
inline constexpr reconcile::Phase kJoin = 3;   ///< into the new group,
inline constexpr reconcile::Phase kJoinBucket =
    4;  ///< then into its bucket: a packet finds both or neither
inline constexpr reconcile::Phase kLeaveBucket = 5;  ///< out of the old group's bucket,
inline constexpr reconcile::Phase kLeaveGroup = 6;   ///< then out of the old group
inline constexpr reconcile::Phase kTransaction =
    7;  ///< nf_tables: all of the above, and what follows about sets, at once
inline constexpr reconcile::Phase kHost = 8;    ///< sysctls, neighbours, routes
inline constexpr reconcile::Phase kPurge = 9;   ///< flows of addresses that left an interface
inline constexpr reconcile::Phase kAdmit = 10;  ///< who may send now
inline constexpr reconcile::Phase kLateTransaction =
    11;  ///< nf_tables: who may send now, where flows had to be purged before; into new groups
inline constexpr reconcile::Phase kShrink = 12;   ///< removals from selector sets
inline constexpr reconcile::Phase kDestroy = 13;  ///< sets that nothing refers to any more

}  // namespace margay::agent
