#include "api/file/object_index.h"

#include <algorithm>
#include <functional>

namespace margay::api {

std::size_t KeyView::hash() const {
  std::size_t value = std::hash<std::string_view>{}(name);
  value ^= std::hash<std::string_view>{}(ns)*0x9E3779B97F4A7C15U;
  return value + static_cast<std::size_t>(kind) * 0x100000001B3U;
}

void ObjectIndex::place(const Files& objects, ObjectRef ref) {
  std::size_t at = KeyView::of(object(objects, ref)).hash() & mask();
  while (slots_[at].file != kFree) at = (at + 1) & mask();
  slots_[at] = ref;
}

void ObjectIndex::reserve(const Files& objects, std::size_t entries) {
  std::size_t wanted = std::max<std::size_t>(slots_.size(), 64);
  while (4 * entries > 3 * wanted) wanted *= 2;
  if (wanted == slots_.size()) return;
  std::vector<ObjectRef> old(wanted, ObjectRef{kFree, 0});
  old.swap(slots_);
  for (const ObjectRef& ref : old) {
    if (ref.file != kFree) place(objects, ref);
  }
}

void ObjectIndex::insert(const Files& objects, ObjectRef ref) {
  reserve(objects, used_ + 1);
  place(objects, ref);
  ++used_;
}

void ObjectIndex::erase(const Files& objects, ObjectRef ref) {
  if (slots_.empty()) return;
  std::size_t hole = KeyView::of(object(objects, ref)).hash() & mask();
  while (slots_[hole] != ref) {
    if (slots_[hole].file == kFree) return;
    hole = (hole + 1) & mask();
  }
  // Move back what would no longer be found behind the hole.
  for (std::size_t at = (hole + 1) & mask(); slots_[at].file != kFree; at = (at + 1) & mask()) {
    const std::size_t home = KeyView::of(object(objects, slots_[at])).hash() & mask();
    if (((at - home) & mask()) < ((at - hole) & mask())) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole].file = kFree;
  --used_;
}

}  // namespace margay::api
