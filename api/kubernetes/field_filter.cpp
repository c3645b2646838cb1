#include "api/kubernetes/field_filter.h"

namespace margay::api {

FieldFilter FieldFilter::of(std::initializer_list<std::string_view> paths, Rest rest) {
  FieldFilter top(rest);
  for (std::string_view path : paths) {
    FieldFilter* at = &top;
    while (!path.empty()) {
      const auto blank = std::min(path.find(' '), path.size());
      at = &at->fields_.try_emplace(std::string(path.substr(0, blank)), FieldFilter(rest))
                .first->second;
      path.remove_prefix(std::min(blank + 1, path.size()));
    }
    at->left_ = rest == Rest::Read;
    at->rest_ = Rest::Read;
  }
  return top;
}

FieldFilter FieldFilter::only(std::initializer_list<std::string_view> paths) {
  return of(paths, Rest::Left);
}

FieldFilter FieldFilter::without(std::initializer_list<std::string_view> paths) {
  return of(paths, Rest::Read);
}

const FieldFilter* FieldFilter::field(std::string_view name) const {
  static const FieldFilter kAll(Rest::Read);
  const auto found = fields_.find(name);
  if (found != fields_.end()) return found->second.left_ ? nullptr : &found->second;
  return rest_ == Rest::Read ? &kAll : nullptr;
}

}  // namespace margay::api
