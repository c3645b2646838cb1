#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace margay {

/// Small numbers by the hash of what they stand for: the hash half of a hash table whose entries
/// are elsewhere. 8 bytes a slot, three fifths to three quarters full once it is large. The owner
/// holds the content and says which of the candidates is meant. Several may have one hash; many
/// make it slow. Any hash will do, also that of integers by std::hash. One thread.
class HashedIds {
 public:
  void insert(std::size_t hash, std::uint32_t id) {
    if (tooFull(size_ + 1))
      resize(slots_.size() + (slots_.size() < kLarge ? slots_.size() : slots_.size() / 4));
    place({spread(hash), id});
    ++size_;
  }
  /// Makes room for `count` of them in all.
  void reserve(std::size_t count) {
    if (tooFull(count)) resize(count + count / 2);
  }

  /// Does nothing if the pair is not there.
  void erase(std::size_t hash, std::uint32_t id) {
    if (slots_.empty()) return;
    std::size_t at = home(spread(hash));
    while (slots_[at].id != kFree && !(slots_[at].id == id && slots_[at].hash == spread(hash)))
      at = next(at);
    if (slots_[at].id == kFree) return;
    --size_;
    // Moves later slots of the run back, so that no run has a hole before its end.
    for (std::size_t from = next(at); slots_[from].id != kFree; from = next(from)) {
      if (distance(home(slots_[from].hash), from) < distance(at, from)) continue;
      slots_[at] = slots_[from];
      at = from;
    }
    slots_[at].id = kFree;
  }

  /// The first id with the hash for which `isIt(id)` is true.
  template <class IsIt>
  [[nodiscard]] std::optional<std::uint32_t> find(std::size_t hash, const IsIt& isIt) const {
    if (slots_.empty()) return std::nullopt;
    for (std::size_t at = home(spread(hash)); slots_[at].id != kFree; at = next(at)) {
      if (slots_[at].hash == spread(hash) && isIt(slots_[at].id)) return slots_[at].id;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kFree = ~std::uint32_t{0};
  /// Below this a table doubles: many small ones fit each other's memory then.
  static constexpr std::size_t kLarge = 1U << 16U;
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t id = kFree;
  };

  static std::uint32_t spread(std::size_t hash) {
    const std::uint64_t folded = std::uint64_t{hash} ^ (std::uint64_t{hash} >> 32U);
    return static_cast<std::uint32_t>((folded * 0x9E3779B97F4A7C15U) >> 32U);
  }
  [[nodiscard]] bool tooFull(std::size_t count) const { return count * 4 > slots_.size() * 3; }
  /// The upper bits of the hash choose among any number of slots.
  [[nodiscard]] std::size_t home(std::uint32_t hash) const {
    return (std::uint64_t{hash} * slots_.size()) >> 32U;
  }
  [[nodiscard]] std::size_t next(std::size_t at) const {
    return at + 1 < slots_.size() ? at + 1 : 0;
  }
  /// From one slot on to another.
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }

  void place(Slot slot) {
    std::size_t at = home(slot.hash);
    while (slots_[at].id != kFree) at = next(at);
    slots_[at] = slot;
  }
  void resize(std::size_t slots) {
    std::vector<Slot> old(std::max<std::size_t>(8, slots));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.id != kFree) place(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace margay
