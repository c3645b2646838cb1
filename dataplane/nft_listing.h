#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/nfnetlink_socket.h"

/// What the kernel's nf_tables has of ours.
namespace margay::dataplane {

struct NftChains {
  /// Ours of one family. A rule of somebody else in a chain of ours has digest 0.
  std::map<TableName, ObservedTable> tables;
  std::size_t foreignChains = 0;
  bool exists = false;  ///< the table itself
};

/// Counts the transactions of anybody: equal numbers, equal content.
[[nodiscard]] Result<std::uint32_t> nftGeneration(NfnetlinkSocket& socket);
/// Chains with the digests of their rules. O(rules of our table + chains of all tables).
[[nodiscard]] Result<NftChains> listNftChains(NfnetlinkSocket& socket, Family family);
/// Sets of ours without their elements. One that we did not make has maxElements 0.
[[nodiscard]] Result<std::vector<SetSpec>> listNftSets(NfnetlinkSocket& socket, Family family);
/// `Errc::NotFound` if there is no such set.
[[nodiscard]] Result<std::vector<SetMember>> listNftElements(NfnetlinkSocket& socket,
                                                             const SetSpec& spec);

}  // namespace margay::dataplane
