#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dataplane/drivers.h"
#include "dataplane/nfnetlink_socket.h"

namespace margay::dataplane {

/// A rule in a base chain of the filter table that iptables-nft keeps.
struct IptablesNftRule {
  std::uint64_t handle = 0;
  bool ours = false;      ///< its comment says so
  RuleDigest digest = 0;  ///< of what we made it from; 0 if somebody wrote it anew
  bool operator==(const IptablesNftRule&) const = default;
};
/// In order; none if there is no such table or chain. O(rules of the chain).
[[nodiscard]] Result<std::vector<IptablesNftRule>> listIptablesNftRules(NfnetlinkSocket& socket,
                                                                        Family family,
                                                                        BaseChain chain);

/// Rules of ours at the end of FORWARD and INPUT of the table `filter` of iptables-nft, which is
/// somebody else's: hooks of Position::Last and nothing else. They are written in the form of
/// iptables-nft, so that its -S shows them and its -D deletes them, and known by their comment, as
/// in legacy tables. A chain that is not there is not made. In the network namespace of the thread
/// that opened it. One thread.
class IptablesNftDriver final : public RuleDriver {
 public:
  static Result<IptablesNftDriver> open();

  /// Counts nothing but the two chains. O(1) while nobody changed anything in nf_tables.
  Result<TableFingerprint> fingerprint(TableId table) override;
  Result<ObservedTable> read(TableId table) override;
  Result<std::vector<RuleDigest>> digests(TableId table, std::span<const Rule> rules) override;
  Result<TableFingerprint> commit(TableId table, const TableEdit& edit,
                                  const TableFingerprint& expected) override;

 private:
  using Chains = std::map<BaseChain, std::vector<IptablesNftRule>>;
  struct Seen {
    std::uint32_t generation = 0;
    Chains chains;
  };
  explicit IptablesNftDriver(NfnetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<const Seen*> look(Family family);

  NfnetlinkSocket socket_;
  std::map<Family, Seen> seen_;
};

}  // namespace margay::dataplane
