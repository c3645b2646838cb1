#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/drivers.h"
#include "dataplane/nfnetlink_socket.h"
#include "dataplane/nft_batch.h"
#include "dataplane/nft_listing.h"
#include "dataplane/nft_monitor.h"

namespace margay::dataplane {

/// Our tables in nf_tables, `ip margay` and `ip6 margay`, of the network namespace of the thread
/// that opened it. `rules()` and `sets()` work on the same tables, and what they are told to change
/// becomes one transaction: they say yes to what they understand, and `flush` is what brings it
/// into the kernel, all at once. Lists flush before they read. One thread.
///
/// A table of iptables is a number of chains: "filter FORWARD" at Position::First is the base chain
/// `filter-forward`. There are no rules of others in our chains, so hooks are always in place, and
/// what somebody else writes into a chain of ours is a rule that nobody wants.
class NftDriver {
 public:
  /// What the kernel did not take, and what it said.
  struct Refusal {
    NftUnit unit;
    Error error;
  };
  /// With Immediate each change is a transaction of its own, and its refusal is the error.
  enum class Mode : bool { Collect, Immediate };

  /// `Errc::Unsupported` if the kernel has no nf_tables, or we may not use it.
  static Result<std::unique_ptr<NftDriver>> open(Mode mode = Mode::Collect);
  ~NftDriver();
  NftDriver(const NftDriver&) = delete;
  NftDriver& operator=(const NftDriver&) = delete;

  [[nodiscard]] RuleDriver& rules();
  [[nodiscard]] IpsetDriver& sets();

  [[nodiscard]] bool pending() const { return !batch_.empty(); }
  /// Sends what was collected. What the kernel refuses is left out and the rest sent again; so a
  /// chain keeps its old rules, or an element is missing, and everything else is in force.
  std::vector<Refusal> flush();
  /// Transactions with rules in them that the kernel took, by family.
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

  /// Readable when somebody else may have changed our tables.
  [[nodiscard]] int fd() const { return monitor_.fd(); }
  /// Drains it.
  void readEvents();
  /// What they changed since the last call.
  NftEvents takeEvents();
  /// Empties the base chains of both tables: no packet comes to the other chains any more. In no
  /// batch: at once. To be called before sets and maps go with the rules that look into them: the
  /// kernel flips its generation while packets are under way, and one that is still in an old rule
  /// would find the map empty already and be dropped.
  Result<void> leaveHooks();
  /// Deletes both tables, if there is nothing of others in them. In no batch: at once.
  Result<void> removeTables();

 private:
  class Rules;
  class Sets;
  struct Cached {
    SetSpec spec;
    std::uint32_t entries = 0;
    bool exact = false;  ///< entries were counted, and followed since
  };
  struct Dump {
    std::uint32_t generation = 0;
    NftChains chains;
  };

  NftDriver(NfnetlinkSocket socket, NftMonitor monitor, Mode mode);
  void forget();
  void flushForReading();
  Result<void> send(const std::set<NftBatch::UnitId>& without,
                    std::map<NftBatch::UnitId, Error>& refused);
  Result<void> settle();
  Result<void> sendNow();
  Result<const NftChains*> chainsOf(Family family);
  Result<void> learnSets();
  void needTable(Family family);

  NfnetlinkSocket socket_;
  NftMonitor monitor_;
  Mode mode_;
  NftBatch batch_;
  std::unique_ptr<Rules> rules_;
  std::unique_ptr<Sets> sets_;

  NftEvents events_;                         // not taken yet
  std::map<Family, std::uint32_t> foreign_;  // changes of chains and rules by others
  std::map<Family, Dump> dumps_;             // valid while the generation is the same
  std::set<Family> tables_;                  // that exist, or are in the batch
  std::map<SetName, Cached> known_;          // sets in the kernel, with the batch
  bool setsKnown_ = false;
  std::set<SetName> oneByOne_;         // of which a message of elements was refused
  std::vector<Refusal> lateRefusals_;  // of flushes that a list made
  std::uint64_t commits_ = 0;
};

}  // namespace margay::dataplane
