#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controllers/endpoints/workload_interface.h"
#include "controllers/policy/model.h"
#include "controllers/policy/rules.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"

/// How a packet finds its endpoint's group: pods are members of sets of (address, interface), so
/// that one that joins an existing group changes no rule. Pure; any thread.
namespace margay::controllers {

/// Chains that from-workload and to-workload jump to; they return for packets of no known endpoint.
inline constexpr std::string_view kFromDispatchChain = "mgy-from-dispatch";
inline constexpr std::string_view kToDispatchChain = "mgy-to-dispatch";

/// How a packet finds its group: sets of (address, interface) that rules ask one after the other,
/// or one map from (interface, address) to the group's number.
enum class Dispatch : std::uint8_t { Sets, Maps };

/// Up to this many groups, or buckets' groups, are asked one after the other.
inline constexpr std::size_t kBucketGroups = 16;
/// Interfaces that share a prefix in a set. A hash:net,iface set takes 64 for one prefix, but not
/// again once about as many were deleted; half of that always finds room.
inline constexpr std::size_t kInterfacesPerPrefix = 32;

/// The groups of one direction. Above kBucketGroups they sit in buckets by the leading bits of
/// their hash, so that a group that comes or goes concerns its bucket only, except where a bucket
/// splits or joins.
struct DispatchLayout {
  struct Bucket {
    std::string bits;  ///< leading bits of the hashes, '0' and '1'; empty: no bucket, all groups
    std::vector<GroupPtr> groups;  ///< by hash; at most kBucketGroups
    bool operator==(const Bucket&) const = default;
  };
  api::PolicyDirection direction = api::PolicyDirection::Ingress;
  std::vector<Bucket> buckets;  ///< by bits
  /// Of the groups, by their hash: its first 8 digits, or the next free number where two groups
  /// begin with the same digits.
  std::map<std::string, std::uint32_t> numbers = {};
  bool operator==(const DispatchLayout&) const = default;
};

/// Follows only from the set of groups; those of the other direction are left out. O(groups log
/// groups).
[[nodiscard]] DispatchLayout dispatchLayout(api::PolicyDirection direction,
                                            std::span<const GroupPtr> groups);

/// Whether members of the groups that both layouts have keep their entries: the buckets are the
/// same, whatever is in them, and so are the numbers.
[[nodiscard]] bool sameEntries(const DispatchLayout& before, const DispatchLayout& after);

/// "mgy4-gi-<hash>": (address, interface) of each member, hash:net,iface.
[[nodiscard]] dataplane::SetName groupSetName(const Group& group, Family family);
/// Sets of the layout: one a group, one a bucket.
[[nodiscard]] std::vector<dataplane::SetSpec> dispatchSets(const DispatchLayout& layout,
                                                           Family family);
/// (address, interface) from which local workloads may send: "mgy4-local", hash:net,iface.
[[nodiscard]] dataplane::SetSpec localSet(Family family);

/// Prefixes from which many interfaces, or any address, may send cannot be in those sets: they are
/// rules.
struct SharedSource {
  dataplane::IfName device;
  Prefix prefix;
  GroupPtr ingress;
  GroupPtr egress;
  bool operator==(const SharedSource&) const = default;
};

/// Which allowed source prefixes are rules: with maps all that are not single addresses; with sets
/// those of length 0, link-local ones, and those of more than kInterfacesPerPrefix interfaces. Both
/// families; O(prefixes log prefixes).
[[nodiscard]] std::set<Prefix> sharedPrefixes(std::span<const WorkloadInterface> interfaces,
                                              Dispatch dispatch = Dispatch::Sets);
/// One for each interface and shared prefix of the family, by interface.
[[nodiscard]] std::vector<SharedSource> sharedSources(std::span<const WorkloadInterface> interfaces,
                                                      const std::set<Prefix>& shared,
                                                      Family family);

/// One entry of one set.
struct SetEntry {
  dataplane::SetName set;
  dataplane::SetMember member;
  auto operator<=>(const SetEntry&) const = default;
};

/// Entries by which an interface is known in one family. Add in this order and delete in the
/// reverse one: then each moment of a change has a whole path to a group, the old or the new one.
struct DispatchEntries {
  std::vector<SetEntry> groups;  ///< group before its bucket
  std::vector<SetEntry> local;   ///< last on join, first on leave
};
[[nodiscard]] DispatchEntries dispatchEntries(const WorkloadInterface& interface, Family family,
                                              const DispatchLayout& ingress,
                                              const DispatchLayout& egress,
                                              const std::set<Prefix>& shared);

/// With maps: "mgy4-from" and "mgy4-to", which give (interface, address) the number of its group.
[[nodiscard]] dataplane::SetSpec dispatchMap(api::PolicyDirection direction, Family family);
[[nodiscard]] DispatchEntries mapEntries(const WorkloadInterface& interface, Family family,
                                         const DispatchLayout& ingress,
                                         const DispatchLayout& egress,
                                         const std::set<Prefix>& shared);
/// As dispatchChains, with maps. A packet comes to its group's chain, or back, without our marks.
[[nodiscard]] ChainMap mapChains(const DispatchLayout& layout, std::span<const SharedSource> shared,
                                 Family family, const MarkBits& marks);

/// kFromDispatchChain (for the egress layout) or kToDispatchChain, with its buckets.
[[nodiscard]] ChainMap dispatchChains(const DispatchLayout& layout,
                                      std::span<const SharedSource> shared, Family family);

}  // namespace margay::controllers
