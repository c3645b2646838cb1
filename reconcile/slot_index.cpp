#include "reconcile/slot_index.h"

#include <utility>

namespace margay::reconcile {
namespace {

constexpr std::size_t kSmallest = 8;

bool tooFull(std::size_t used, std::size_t cells) {
  return used * 8 > cells * 7;
}

}  // namespace

void SlotIndex::insert(std::uint32_t hash, std::uint32_t slot) {
  reserve(size_ + 1);
  place({hash, slot});
  ++size_;
}

void SlotIndex::erase(std::uint32_t hash, std::uint32_t slot) {
  std::size_t hole = hash & mask();
  while (cells_[hole].slot != slot) hole = (hole + 1) & mask();
  // Pull back every later cell of the run that may stand in the hole, so that no tombstones are
  // needed.
  for (std::size_t at = (hole + 1) & mask(); cells_[at].slot != kNone; at = (at + 1) & mask()) {
    const std::size_t home = cells_[at].hash & mask();
    if (((at - home) & mask()) < ((at - hole) & mask())) continue;
    cells_[hole] = cells_[at];
    hole = at;
  }
  cells_[hole] = Cell{};
  --size_;
}

void SlotIndex::reserve(std::size_t count) {
  std::size_t cells = cells_.empty() ? kSmallest : cells_.size();
  while (tooFull(count, cells)) cells *= 2;
  if (cells != cells_.size()) resize(cells);
}

void SlotIndex::place(Cell cell) {
  std::size_t at = cell.hash & mask();
  while (cells_[at].slot != kNone) at = (at + 1) & mask();
  cells_[at] = cell;
}

void SlotIndex::resize(std::size_t cells) {
  const std::vector<Cell> old = std::exchange(cells_, std::vector<Cell>(cells));
  for (const Cell& cell : old) {
    if (cell.slot != kNone) place(cell);
  }
}

}  // namespace margay::reconcile
