#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/model/rule.h"
#include "dataplane/netlink_batch.h"

/// Rules in the words of the kernel's nf_tables: each match and action is a few expressions on
/// registers, laid out as `nft` lays them out, so that `nft list` shows them as a person writes
/// them. Source of the formats: linux/netfilter/nf_tables.h. Pure; any thread.
namespace margay::dataplane {

/// A set or map without a name that lives and dies with the one rule that refers to it.
struct NftAnonymousSet {
  enum class Kind : std::uint8_t { Ports, PortRanges, Chains } kind = Kind::Ports;
  std::vector<PortRange> ports;               ///< sorted, disjoint
  std::map<std::uint32_t, ChainName> chains;  ///< by number: goes there
};

/// The value of NFTA_RULE_EXPRESSIONS, and what must exist before the rule. Where a look-up refers
/// to an anonymous set, the four bytes at `setIds[i]` are to be overwritten with the number, big
/// endian, that set i has in its batch.
struct NftExpressions {
  std::vector<std::uint8_t> bytes;
  std::vector<NftAnonymousSet> sets;
  std::vector<std::size_t> setIds;
};

/// Appends the rules that nf_tables gets for one rule: where ports are a few ranges, one for each
/// of them, for packets and the kernel's loading pay more for a set of intervals. At most four, the
/// comment on the first.
void appendNftAlternatives(const Rule& rule, std::vector<Rule>& out);

/// `Errc::Invalid` says what no rule can hold. O(size of the rule).
[[nodiscard]] Result<NftExpressions> nftExpressions(const Rule& rule, Family family);

/// The name by which a rule's look-up refers to such a set; its number says which one it is.
inline constexpr const char* kNftAnonymousSet = "__set%d";

}  // namespace margay::dataplane
