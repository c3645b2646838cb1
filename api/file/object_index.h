#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "api/file/file_content.h"

namespace margay::api {

/// Where a value is: the n-th object of a file.
struct ObjectRef {
  std::uint32_t file = 0;
  std::uint32_t object = 0;
  bool operator==(const ObjectRef&) const = default;
};

/// A key without storage of its own.
struct KeyView {
  Kind kind = Kind::Unknown;
  std::string_view ns;
  std::string_view name;
  bool operator==(const KeyView&) const = default;
  [[nodiscard]] std::size_t hash() const;
  static KeyView of(const FileObject& object) { return {object.kind, object.ns(), object.name()}; }
};

/// From keys to the objects that have them, several for one key allowed; 8 bytes a slot, the keys
/// stay in the values. `objects[file]` holds the objects of a file and must be valid for every
/// entry. One thread.
class ObjectIndex {
 public:
  using Files = std::vector<std::vector<FileObject>>;

  /// Room for so many entries, so that putting them in moves none of those that are there.
  void reserve(const Files& objects, std::size_t entries);
  void insert(const Files& objects, ObjectRef ref);
  void erase(const Files& objects, ObjectRef ref);
  /// Calls `visit(ObjectRef)` for each object with the key; `visit` must not change the index.
  template <class Visit>
  void each(const Files& objects, const KeyView& key, Visit&& visit) const {
    if (slots_.empty()) return;
    for (std::size_t at = key.hash() & mask(); slots_[at].file != kFree; at = (at + 1) & mask()) {
      if (KeyView::of(object(objects, slots_[at])) == key) visit(slots_[at]);
    }
  }
  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;

  [[nodiscard]] std::size_t mask() const { return slots_.size() - 1; }
  static const FileObject& object(const Files& objects, ObjectRef ref) {
    return objects[ref.file][ref.object];
  }
  void place(const Files& objects, ObjectRef ref);

  std::vector<ObjectRef> slots_;  // open addressing, linear; a power of two
  std::size_t used_ = 0;
};

}  // namespace margay::api
