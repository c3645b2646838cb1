#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/model/ipset.h"
#include "dataplane/model/rule.h"
#include "dataplane/netlink_batch.h"
#include "dataplane/nft_expressions.h"

/// The messages of one nf_tables transaction: the kernel takes all of them or none. Source of the
/// formats: linux/netfilter/nf_tables.h, nfnetlink.h. No I/O.
namespace margay::dataplane {

/// Our table, in both families.
inline constexpr const char* kNftTable = "margay";

/// A base chain of ours: the hooks of one table at one place.
struct NftBaseChain {
  TableName table = TableName::Filter;
  HookKey hook;
  auto operator<=>(const NftBaseChain&) const = default;
};
/// "filter-forward"; "-last" follows where the position is Last and the table is not nat.
[[nodiscard]] std::string baseChainName(const NftBaseChain& chain);
[[nodiscard]] std::optional<NftBaseChain> baseChainOf(std::string_view name);

/// What stands or falls together when the kernel refuses something: a chain with its rules, a
/// message of elements.
struct NftUnit {
  Family family = Family::V4;
  std::string object;  ///< "chain mgy-accept", "set mgy4-local"
  SetName set;         ///< empty: rules
  TableName table = TableName::Filter;
  std::size_t elements = 0;  ///< of a message of elements
};

class NftBatch {
 public:
  using UnitId = std::uint32_t;

  NftBatch() { clear(); }
  void clear();
  [[nodiscard]] bool empty() const { return messages_.empty() && gone_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return messages_.empty() ? 0 : messages_.back().end; }
  /// Nothing but new sets and elements: half of it in force does no harm.
  [[nodiscard]] bool onlyFills() const { return onlyFills_; }
  [[nodiscard]] const NftUnit& unit(UnitId id) const { return units_[id]; }

  UnitId add(NftUnit unit);
  /// The table is made where it is not. Belongs to no unit.
  void table(Family family);
  void removeTable(UnitId unit);
  /// Made where it is not. `chain` holds rules of `table`.
  void chain(UnitId unit, TableName table, const ChainName& name);
  void baseChain(UnitId unit, const NftBaseChain& chain);
  void flushChain(UnitId unit, const ChainName& name);
  /// Comes last, behind what else goes: rules and elements of maps may refer to the chain.
  void removeChain(UnitId unit, const ChainName& name) { gone_.emplace_back(unit, name); }
  /// Appended to `chain`, with its digest where `nft list` does not show it.
  void rule(UnitId unit, const ChainName& chain, const NftExpressions& expressions,
            std::string_view comment, RuleDigest digest);
  void set(UnitId unit, const SetSpec& spec);
  void removeSet(UnitId unit, const SetName& name);
  /// Adds or removes elements, as many as fit one message; returns how many it took.
  std::size_t elements(UnitId unit, const SetSpec& spec, Op op,
                       std::span<const Change<SetMember>> changes);

  /// Nothing more is to come.
  void seal();
  /// With those of begin and end. After `seal`.
  [[nodiscard]] std::uint32_t messages() const {
    return static_cast<std::uint32_t>(messages_.size()) + 2;
  }
  /// The whole datagram without the units in `without`. Message i of it belongs to unit
  /// `owners()[i]`, and has sequence number `firstSequence` + i; kNobody owns begin, end and table.
  /// Nothing can be added behind it any more.
  [[nodiscard]] std::span<const std::byte> datagram(std::uint32_t firstSequence,
                                                    const std::set<UnitId>& without);
  [[nodiscard]] const std::vector<UnitId>& owners() const { return owners_; }
  static constexpr UnitId kNobody = 0xffffffff;

 private:
  struct Message {
    std::size_t begin = 0;
    std::size_t end = 0;
    UnitId unit = kNobody;
  };
  void begin(UnitId unit, std::uint16_t type, std::uint16_t flags, Family family);
  void end();
  void anonymousSet(UnitId unit, const NftAnonymousSet& set, std::uint32_t id);
  [[nodiscard]] Family familyOf(UnitId unit) const { return units_[unit].family; }

  void mark(NetlinkBatch& out, std::uint16_t type);

  NetlinkBatch body_;  ///< begins with the mark of a transaction's beginning
  NetlinkBatch out_;
  std::vector<Message> messages_;
  std::vector<std::pair<UnitId, ChainName>> gone_;  // chains to remove
  std::vector<UnitId> owners_;
  std::vector<NftUnit> units_;
  std::uint32_t nextSet_ = 1;
  bool onlyFills_ = true;
  std::vector<std::uint8_t> expressions_;  // scratch
};

}  // namespace margay::dataplane
