#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/shared.h"

namespace margay::api {

using LabelMap = std::vector<std::pair<std::string, std::string>>;

/// An immutable set of labels, sorted by key, shared between the objects that have the same ones (a
/// deployment's pods): copying costs a reference count. Equality is by content.
class Labels {
 public:
  Labels() = default;
  /// `pairs` in any order; of equal keys the last one stays.
  explicit Labels(LabelMap pairs) {
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    // Of equal keys, which are neighbours now, all but the last one go.
    auto kept = pairs.begin();
    for (auto at = pairs.begin(); at != pairs.end(); ++at) {
      if (std::next(at) != pairs.end() && std::next(at)->first == at->first) continue;
      if (kept != at) *kept = std::move(*at);
      ++kept;
    }
    pairs.erase(kept, pairs.end());
    pairs.shrink_to_fit();
    if (!pairs.empty()) pairs_ = share(std::move(pairs));
  }

  [[nodiscard]] const LabelMap& pairs() const {
    static const LabelMap kEmpty;
    return pairs_ ? *pairs_ : kEmpty;
  }
  [[nodiscard]] bool empty() const { return !pairs_; }
  [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const {
    const auto& all = pairs();
    const auto at =
        std::lower_bound(all.begin(), all.end(), key,
                         [](const auto& pair, std::string_view k) { return pair.first < k; });
    if (at == all.end() || at->first != key) return std::nullopt;
    return at->second;
  }
  friend bool operator==(const Labels& a, const Labels& b) {
    return a.pairs_ == b.pairs_ || a.pairs() == b.pairs();
  }
  friend auto operator<=>(const Labels& a, const Labels& b) { return a.pairs() <=> b.pairs(); }

 private:
  Shared<LabelMap> pairs_;
};

}  // namespace margay::api
