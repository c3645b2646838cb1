#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace margay::reconcile {

/// The hash half of a hash table whose entries live in an array elsewhere: finds the array index
/// (the slot) of a key. 8 bytes a cell, at most 7/8 full; a cell keeps the hash, so neither growing
/// nor erasing looks at keys. One thread.
class SlotIndex {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// Spreads the bits of any hash, so that std::hash of integers will do.
  [[nodiscard]] static std::uint32_t spread(std::size_t hash) {
    const auto folded = static_cast<std::uint64_t>(hash) ^ (static_cast<std::uint64_t>(hash) >> 32);
    return static_cast<std::uint32_t>((folded * 0x9E3779B97F4A7C15ULL) >> 32);
  }

  /// The slot under `hash` for which `same(slot)` holds, or kNone.
  template <class Same>
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, Same same) const {
    if (cells_.empty()) return kNone;
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Cell& cell = cells_[at];
      if (cell.slot == kNone) return kNone;
      if (cell.hash == hash && same(cell.slot)) return cell.slot;
    }
  }

  /// `slot` must not be in the index.
  void insert(std::uint32_t hash, std::uint32_t slot);
  /// `slot` must be in the index under `hash`.
  void erase(std::uint32_t hash, std::uint32_t slot);
  /// Makes room for `count` slots in all.
  void reserve(std::size_t count);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Cell {
    std::uint32_t hash = 0;
    std::uint32_t slot = kNone;
  };
  [[nodiscard]] std::size_t mask() const { return cells_.size() - 1; }
  void place(Cell cell);
  void resize(std::size_t cells);

  std::vector<Cell> cells_;  // a power of two, or none
  std::size_t size_ = 0;
};

}  // namespace margay::reconcile
