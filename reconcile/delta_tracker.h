#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/change.h"
#include "base/hashed_ids.h"

namespace margay::reconcile {

/// The value of keys that are only there or not: members of a set. Takes no memory.
struct NoValue {
  bool operator==(const NoValue&) const = default;
};

/// What should be and what is, side by side, with the keys that differ kept as the two change:
/// every change of one key is O(1). Entries live in one array, an entry is named by its slot; a
/// slot is valid until the next call that sets or replaces something.
///
/// `Matches(desired, observed)` says that nothing is to be done. Keys and values are default
/// constructible, copyable and comparable with ==. One thread.
template <class Key, class Value, class Hash = std::hash<Key>, class Matches = std::equal_to<Value>>
class DeltaTracker {
 public:
  using Slot = std::uint32_t;

  /// Returns whether that is new. New input ends a `park`.
  bool setDesired(const Key& key, Value value = {}) {
    return putDesired(findOrInsert(key), std::move(value));
  }
  bool removeDesired(const Key& key) {
    const auto slot = find(key);
    return slot && dropDesired(*slot);
  }

  /// `all` is everything that should be: pairs of key and value, or keys when Value is NoValue.
  /// O(all + tracked).
  template <class Range>
  void replaceDesired(const Range& all) {
    for (const auto& element : all) {
      const Slot slot = findOrInsert(keyOf(element));
      entries_[slot].state |= kSeen;
      putDesired(slot, valueOf(element));
    }
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (!takeSeen(slot) && has(entries_[slot], kDesired)) dropDesired(slot);
    }
    shrink();
  }

  bool setObserved(const Key& key, Value value = {}) {
    return putObserved(findOrInsert(key), std::move(value));
  }
  bool removeObserved(const Key& key) {
    const auto slot = find(key);
    return slot && dropObserved(*slot);
  }

  /// As `replaceDesired`, for what is there. `onChange(slot)` is called for every key that is still
  /// tracked and whose observed side became another.
  template <class Range, class OnChange>
  void replaceObserved(const Range& all, OnChange onChange) {
    shrink();
    for (const auto& element : all) {
      const Slot slot = findOrInsert(keyOf(element));
      entries_[slot].state |= kSeen;
      if (putObserved(slot, valueOf(element))) onChange(slot);
    }
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (takeSeen(slot) || !dropObserved(slot)) continue;
      if (alive(slot)) onChange(slot);
    }
  }
  template <class Range>
  void replaceObserved(const Range& all) {
    replaceObserved(all, [](Slot) {});
  }

  /// The change of `slot` was made: what is there is now what should be there.
  void confirm(Slot slot) {
    if (has(entries_[slot], kDesired)) {
      putObserved(slot, entries_[slot].sides.desired());
    } else {
      dropObserved(slot);
    }
  }

  /// Leaves the key out of `ready` until `unpark` or new input, or until it does not differ any
  /// more.
  void park(Slot slot) {
    Entry& entry = entries_[slot];
    if (has(entry, kParked) || !op(slot)) return;
    entry.state |= kParked;
    ++parked_[indexOf(*op(slot))];
  }
  void unpark(Slot slot) {
    if (!has(entries_[slot], kParked)) return;
    entries_[slot].state &= static_cast<std::uint8_t>(~kParked);
    --parked_[indexOf(*op(slot))];
    enqueue(slot);
  }
  /// Of those for which `wanted(slot)`. O(tracked), or O(1) if none is parked.
  template <class Wanted>
  void unparkIf(Wanted wanted) {
    if (parkedCount() == 0) return;
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (has(entries_[slot], kParked) && wanted(slot)) unpark(slot);
    }
  }

  /// Slots that differ and are not parked, in the order in which they began to. The span is valid
  /// until the next call of `ready` or one that changes something; `confirm` and `park` leave it
  /// be.
  [[nodiscard]] std::span<const Slot> ready() {
    std::size_t kept = 0;
    for (const Slot slot : queue_) {
      if (op(slot) && !has(entries_[slot], kParked)) {
        queue_[kept++] = slot;
      } else {
        dequeue(slot);
      }
    }
    queue_.resize(kept);
    if (kept == 0 && queue_.capacity() > kKeptQueue) queue_ = {};
    return queue_;
  }

  /// Every slot that differs, parked or not, in no particular order. O(tracked).
  template <class Visit>
  void forEachPending(Visit visit) const {
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (op(slot)) visit(slot);
    }
  }
  /// Every key that should be there: `visit(key, value)`. O(tracked).
  template <class Visit>
  void forEachDesired(Visit visit) const {
    for (const Entry& entry : entries_) {
      if (has(entry, kDesired)) visit(entry.key, entry.sides.desired());
    }
  }

  [[nodiscard]] std::optional<Slot> find(const Key& key) const { return lookUp(hashOf(key), key); }
  [[nodiscard]] const Key& key(Slot slot) const { return entries_[slot].key; }
  /// What has to be done; no value if nothing.
  [[nodiscard]] std::optional<Op> op(Slot slot) const {
    const std::uint8_t code = (entries_[slot].state & kOpMask) >> kOpShift;
    if (code == 0) return std::nullopt;
    return static_cast<Op>(code - 1);
  }
  [[nodiscard]] bool isDesired(Slot slot) const { return has(entries_[slot], kDesired); }
  [[nodiscard]] bool isObserved(Slot slot) const { return has(entries_[slot], kObserved); }
  /// A default value if it is not.
  [[nodiscard]] const Value& desired(Slot slot) const { return entries_[slot].sides.desired(); }
  [[nodiscard]] const Value& observed(Slot slot) const { return entries_[slot].sides.observed(); }

  /// Eight bits for the owner's use; they are cleared when the key does not differ any more.
  [[nodiscard]] std::uint8_t marks(Slot slot) const { return entries_[slot].marks; }
  void setMarks(Slot slot, std::uint8_t marks) { entries_[slot].marks = marks; }

  [[nodiscard]] std::size_t desiredCount() const { return desired_; }
  [[nodiscard]] std::size_t observedCount() const { return observed_; }
  [[nodiscard]] std::size_t pendingCount(Op op) const { return pending_[indexOf(op)]; }
  [[nodiscard]] std::size_t pendingCount() const { return sum(pending_); }
  [[nodiscard]] std::size_t parkedCount() const { return sum(parked_); }
  /// Of the slots that `ready` gives.
  [[nodiscard]] std::size_t readyCount(Op op) const {
    return pending_[indexOf(op)] - parked_[indexOf(op)];
  }

 private:
  enum class Wake : bool { No, Yes };
  using Counts = std::array<std::size_t, 3>;  // by Op
  static constexpr std::uint8_t kDesired = 1, kObserved = 2, kQueued = 16, kParked = 32, kSeen = 64;
  static constexpr std::uint8_t kOpMask = 12, kOpShift = 2;
  static constexpr std::size_t kKeptQueue = 4096;

  struct Values {
    const Value& desired() const { return desired_; }
    const Value& observed() const { return observed_; }
    void setDesired(Value value) { desired_ = std::move(value); }
    void setObserved(Value value) { observed_ = std::move(value); }
    Value desired_{}, observed_{};
  };
  struct Nothing {
    const Value& desired() const { return kValue; }
    const Value& observed() const { return kValue; }
    void setDesired(const Value& /*value*/) {}
    void setObserved(const Value& /*value*/) {}
    static constexpr Value kValue{};
  };
  static constexpr bool kKeysOnly = std::is_same_v<Value, NoValue>;
  struct Entry {
    Key key{};
    [[no_unique_address]] std::conditional_t<kKeysOnly, Nothing, Values> sides{};
    std::uint8_t state = 0;
    std::uint8_t marks = 0;
  };

  static bool has(const Entry& entry, std::uint8_t bit) { return (entry.state & bit) != 0; }
  static std::size_t sum(const Counts& counts) { return counts[0] + counts[1] + counts[2]; }
  static std::size_t indexOf(Op op) { return static_cast<std::size_t>(op); }
  static std::size_t hashOf(const Key& key) { return Hash{}(key); }
  template <class Element>
  static const Key& keyOf(const Element& element) {
    if constexpr (kKeysOnly) {
      return element;
    } else {
      return element.first;
    }
  }
  template <class Element>
  static Value valueOf(const Element& element) {
    if constexpr (kKeysOnly) {
      return {};
    } else {
      return element.second;
    }
  }

  [[nodiscard]] bool alive(Slot slot) const { return has(entries_[slot], kDesired | kObserved); }

  bool takeSeen(Slot slot) {
    const bool seen = has(entries_[slot], kSeen);
    entries_[slot].state &= static_cast<std::uint8_t>(~kSeen);
    return seen;
  }

  [[nodiscard]] std::optional<Slot> lookUp(std::size_t hash, const Key& key) const {
    return index_.find(hash, [&](Slot slot) { return entries_[slot].key == key; });
  }

  Slot findOrInsert(const Key& key) {
    const std::size_t hash = hashOf(key);
    if (const auto found = lookUp(hash, key)) return *found;
    Slot slot = 0;
    if (free_.empty()) {
      slot = static_cast<Slot>(entries_.size());
      entries_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    entries_[slot].key = key;
    index_.insert(hash, slot);
    return slot;
  }

  bool putDesired(Slot slot, Value value) {
    Entry& entry = entries_[slot];
    if (has(entry, kDesired)) {
      if (entry.sides.desired() == value) return false;
    } else {
      ++desired_;
    }
    entry.state |= kDesired;
    entry.sides.setDesired(std::move(value));
    settle(slot, Wake::Yes);
    return true;
  }

  bool dropDesired(Slot slot) {
    Entry& entry = entries_[slot];
    if (!has(entry, kDesired)) return false;
    --desired_;
    entry.state &= static_cast<std::uint8_t>(~kDesired);
    entry.sides.setDesired(Value{});
    settle(slot, Wake::Yes);
    return true;
  }

  bool putObserved(Slot slot, Value value) {
    Entry& entry = entries_[slot];
    if (has(entry, kObserved)) {
      if (entry.sides.observed() == value) return false;
    } else {
      ++observed_;
    }
    entry.state |= kObserved;
    entry.sides.setObserved(std::move(value));
    settle(slot, Wake::No);
    return true;
  }

  bool dropObserved(Slot slot) {
    Entry& entry = entries_[slot];
    if (!has(entry, kObserved)) return false;
    --observed_;
    entry.state &= static_cast<std::uint8_t>(~kObserved);
    entry.sides.setObserved(Value{});
    settle(slot, Wake::No);
    return true;
  }

  [[nodiscard]] static std::optional<Op> difference(const Entry& entry) {
    if (!has(entry, kObserved)) return has(entry, kDesired) ? std::optional(Op::Add) : std::nullopt;
    if (!has(entry, kDesired)) return Op::Remove;
    if (Matches{}(entry.sides.desired(), entry.sides.observed())) return std::nullopt;
    return Op::Replace;
  }

  /// Brings counts and queue up to date after one side of `slot` changed.
  void settle(Slot slot, Wake wake) {
    Entry& entry = entries_[slot];
    const bool parked = has(entry, kParked);
    if (const auto before = op(slot)) {
      --pending_[indexOf(*before)];
      if (parked) --parked_[indexOf(*before)];
    }
    const auto now = difference(entry);
    const auto code = now ? indexOf(*now) + 1 : 0;
    entry.state = static_cast<std::uint8_t>((entry.state & ~kOpMask) | (code << kOpShift));
    if (now) {
      ++pending_[indexOf(*now)];
    } else {
      entry.marks = 0;
    }
    if (now && parked && wake == Wake::No) {
      ++parked_[indexOf(*now)];
    } else {
      entry.state &= static_cast<std::uint8_t>(~kParked);
      if (now) enqueue(slot);
    }
    if (!alive(slot)) release(slot);
  }

  void enqueue(Slot slot) {
    if (has(entries_[slot], kQueued)) return;
    entries_[slot].state |= kQueued;
    queue_.push_back(slot);
  }
  /// For a slot that the caller takes out of `queue_`.
  void dequeue(Slot slot) {
    entries_[slot].state &= static_cast<std::uint8_t>(~kQueued);
    if (!alive(slot)) free_.push_back(slot);
  }
  void release(Slot slot) {
    Entry& entry = entries_[slot];
    index_.erase(hashOf(entry.key), slot);
    entry.key = Key{};
    if (!has(entry, kQueued)) free_.push_back(slot);  // else it becomes free with `dequeue`
  }

  /// Gives memory back when most entries are gone.
  void shrink() {
    if (entries_.size() < 64 || index_.size() > entries_.size() / 4) return;
    DeltaTracker smaller;
    smaller.entries_.reserve(index_.size());
    smaller.index_.reserve(index_.size());
    std::vector<std::optional<Slot>> moved(entries_.size());
    for (Slot slot = 0; slot < entries_.size(); ++slot) {
      if (!alive(slot)) continue;
      moved[slot] = static_cast<Slot>(smaller.entries_.size());
      smaller.index_.insert(hashOf(entries_[slot].key), *moved[slot]);
      smaller.entries_.push_back(std::move(entries_[slot]));
    }
    for (const Slot slot : queue_) {
      if (moved[slot]) smaller.queue_.push_back(*moved[slot]);
    }
    smaller.desired_ = desired_;
    smaller.observed_ = observed_;
    smaller.parked_ = parked_;
    smaller.pending_ = pending_;
    *this = std::move(smaller);
  }

  std::vector<Entry> entries_;
  HashedIds index_;
  std::vector<Slot> free_;
  std::vector<Slot> queue_;  // may hold slots that have settled; `ready` drops them
  Counts pending_{};
  Counts parked_{};
  std::size_t desired_ = 0;
  std::size_t observed_ = 0;
};

}  // namespace margay::reconcile
