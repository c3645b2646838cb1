#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dataplane/model/rule.h"
#include "dataplane/xtables_entry.h"

namespace margay::dataplane::xtables {

/// The places that a legacy table may hook into: prerouting, input, forward, output, postrouting.
inline constexpr std::size_t kHooks = 5;

/// A legacy table as the kernel gives and takes it: entry behind entry, each chain a number of
/// them. Base chains begin at `hookEntries` and end with their policy at `underflows`; other chains
/// begin with an entry whose target is ERROR and holds their name, and end with a RETURN; one more
/// ERROR ends the table. A jump is the offset of the first rule of a chain. Source: ipt_getinfo,
/// ipt_get_entries and ipt_replace in linux/netfilter_ipv4/ip_tables.h.
struct TableEntries {
  /// Bytes with room in front for the header with which the kernel gives or takes them: a table of
  /// 11,000 rules has 3 MB, and to touch other pages for a copy costs as much as the system call.
  class Buffer {
   public:
    static constexpr std::size_t kRoom = 128;
    Buffer() = default;
    /// Not initialised.
    explicit Buffer(std::size_t size) { resize(size); }
    /// What was in it is lost; the memory is not, where it is enough and not far too much.
    void resize(std::size_t size) {
      if (size > capacity_ || size < capacity_ / 4) {
        capacity_ = size + size / 16;  // one rule more is no reason for other memory
        bytes_ = std::make_unique_for_overwrite<std::byte[]>(kRoom + capacity_);
      }
      size_ = size;
    }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::byte* data() { return bytes_.get() + kRoom; }
    [[nodiscard]] const std::byte* data() const { return bytes_.get() + kRoom; }
    /// Where a header of that size begins, so that the bytes follow it; at most kRoom.
    [[nodiscard]] std::byte* header(std::size_t size) const { return bytes_.get() + kRoom - size; }

   private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
  };

  std::uint32_t validHooks = 0;  ///< a bit a hook
  std::array<std::uint32_t, kHooks> hookEntries{};
  std::array<std::uint32_t, kHooks> underflows{};
  std::uint32_t count = 0;
  Buffer bytes;
};

/// What to write in place of a table that was read.
struct TableReplacement {
  TableEntries entries;
  std::uint32_t countBefore = 0;
  /// For each entry the number of the one that it was, whose counters it keeps, or kNew.
  std::vector<std::uint32_t> origins;
  static constexpr std::uint32_t kNew = 0xffffffff;
};

/// A copy of a table to edit. What is not touched is copied as it is, but for the offsets of its
/// jumps: so a change of one chain costs a pass over the bytes of the table and no more. No I/O.
class TableImage {
 public:
  /// `Errc::Invalid` if that is no table as described above. O(entries).
  static Result<TableImage> parse(TableEntries entries, Family family);

  [[nodiscard]] bool hasChain(const ChainName& chain) const { return byName_.contains(chain); }
  [[nodiscard]] bool isBaseChain(const ChainName& chain) const;
  /// How many rules jump to the chain. O(entries) after each edit but removals.
  [[nodiscard]] unsigned references(const ChainName& chain) const;
  /// The first chain with a rule that jumps there; empty if there is none.
  [[nodiscard]] ChainName whoJumpsTo(const ChainName& chain) const;
  /// Calls `visit(const EntryView&)` for each rule of the chain, in order.
  template <class Visit>
  void forEachRule(const ChainName& chain, Visit visit) const {
    const auto found = byName_.find(chain);
    if (found == byName_.end()) return;
    const Chain& it = chains_[found->second];
    if (it.edited) {
      for (const Rule& rule : it.rules) visit(EntryView(rule.bytes, family_));
      return;
    }
    for (auto at = it.firstRule; at < it.tail; at += sizeAt(at)) visit(entryAt(at));
  }

  // Of chains that are there; indices count from 0. A rule's standard target is named, as
  // `encodeRule` does: a verdict or a chain that is there.
  void createChain(const ChainName& chain);
  void flushChain(const ChainName& chain);
  /// Its rules must be gone, and nothing may jump to it.
  void deleteChain(const ChainName& chain);
  void appendRule(const ChainName& chain, const EntryBytes& entry);
  void insertRule(const ChainName& chain, const EntryBytes& entry, std::size_t index);
  void deleteRule(const ChainName& chain, std::size_t index);

  /// Into `room`, if it is large enough. O(bytes of the table).
  [[nodiscard]] TableReplacement compile(TableEntries::Buffer room = {}) const;
  /// The memory of what was read, for another table; the image is over.
  [[nodiscard]] TableEntries::Buffer takeBuffer() && { return std::exchange(entries_.bytes, {}); }

 private:
  using ChainId = std::uint32_t;
  static constexpr ChainId kNoChain = 0xffffffff;
  static constexpr ChainId kNextRule = 0xfffffffe;  // a rule without target

  struct Rule {
    EntryBytes bytes;
    ChainId jump = kNoChain;
    std::uint32_t origin = TableReplacement::kNew;
  };
  struct Chain {
    ChainName name;
    std::size_t hook = kHooks;  // of base chains
    // In entries_: where it begins, its first rule, its last entry, and behind that.
    std::uint32_t begin = 0;
    std::uint32_t firstRule = 0;
    std::uint32_t tail = 0;
    std::uint32_t end = 0;
    std::uint32_t firstOrigin = 0;  // number of the entry at `begin`
    std::uint32_t count = 0;        // entries from begin to end
    bool made = false;              // has no place in entries_
    bool edited = false;            // `rules` is what it holds
    bool gone = false;
    std::vector<Rule> rules;
  };
  /// A rule that jumps: to a chain or, without a target, to the rule behind it.
  struct Jump {
    std::uint32_t at = 0;  // in entries_
    ChainId to = 0;
  };
  class Writer;

  TableImage(TableEntries entries, Family family) : entries_(std::move(entries)), family_(family) {}
  Result<void> findChains();
  void beginChain(std::uint32_t at, std::size_t hook, std::uint32_t number);
  void noteJump(std::uint32_t at);
  Result<void> resolveJumps();
  Result<void> endChain(Chain& chain, std::uint32_t last, std::uint32_t end, std::uint32_t number);
  [[nodiscard]] EntryView entryAt(std::uint32_t offset) const {
    return EntryView::at(entries_.bytes.data() + offset, family_);
  }
  [[nodiscard]] std::uint32_t sizeAt(std::uint32_t offset) const;
  [[nodiscard]] ChainName chainOf(std::uint32_t offset) const;
  /// Those of its rules as they were read.
  [[nodiscard]] std::span<const Jump> jumpsOf(const Chain& chain) const;
  [[nodiscard]] Rule ruleOf(const EntryBytes& entry) const;
  Chain& chain(const ChainName& name) { return chains_[byName_.find(name)->second]; }
  Chain& edit(const ChainName& name);
  void countReferences() const;

  TableEntries entries_;
  Family family_;
  std::vector<Chain> chains_;
  std::vector<ChainId> order_;  // in the table
  std::unordered_map<ChainName, ChainId> byName_;
  std::vector<Jump> jumps_;                   // by `at`
  mutable std::vector<unsigned> references_;  // by chain; empty: not counted
};

}  // namespace margay::dataplane::xtables
