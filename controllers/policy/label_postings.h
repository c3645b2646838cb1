#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/model/labels.h"

namespace margay::controllers {

/// What a thing must be like to be a candidate: have the label, and one of the values unless there
/// are none.
struct LabelAnchor {
  std::string key;
  std::vector<std::string> values;
};

/// Which numbers stand under a label and its value. Values are kept as hashes, so what is found are
/// candidates, not answers.
class LabelPostings {
 public:
  void add(std::string_view key, std::string_view value, std::uint32_t id) {
    auto found = keys_.find(key);
    if (found == keys_.end()) found = keys_.emplace(std::string(key), Values{}).first;
    found->second[hash(value)].push_back(id);
  }

  /// O(ids under the value).
  void remove(std::string_view key, std::string_view value, std::uint32_t id) {
    const auto values = keys_.find(key);
    if (values == keys_.end()) return;
    const auto posting = values->second.find(hash(value));
    if (posting == values->second.end()) return;
    auto& ids = posting->second;
    if (const auto at = std::find(ids.begin(), ids.end(), id); at != ids.end()) {
      *at = ids.back();
      ids.pop_back();
    }
    if (ids.empty()) values->second.erase(posting);
    if (values->second.empty()) keys_.erase(values);
  }

  void add(const api::Labels& labels, std::uint32_t id) {
    for (const auto& [key, value] : labels.pairs()) add(key, value, id);
  }
  void remove(const api::Labels& labels, std::uint32_t id) {
    for (const auto& [key, value] : labels.pairs()) remove(key, value, id);
  }

  /// Forgets everything under the label.
  void remove(const std::string& key) { keys_.erase(key); }

  /// Calls `visit(id)` for what has the label, and one of the anchor's values if it names any.
  template <class Visit>
  void forEach(const LabelAnchor& anchor, const Visit& visit) const {
    const auto values = keys_.find(anchor.key);
    if (values == keys_.end()) return;
    if (anchor.values.empty()) {
      for (const auto& [value, ids] : values->second) std::for_each(ids.begin(), ids.end(), visit);
      return;
    }
    for (const auto& value : anchor.values) forValue(values->second, value, visit);
  }

  /// Calls `visit(id)` for what has the label with the value.
  template <class Visit>
  void forEach(std::string_view key, std::string_view value, const Visit& visit) const {
    if (const auto values = keys_.find(key); values != keys_.end())
      forValue(values->second, value, visit);
  }

 private:
  using Values = std::unordered_map<std::size_t, std::vector<std::uint32_t>>;
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  static std::size_t hash(std::string_view text) { return std::hash<std::string_view>{}(text); }

  template <class Visit>
  static void forValue(const Values& values, std::string_view value, const Visit& visit) {
    const auto ids = values.find(hash(value));
    if (ids != values.end()) std::for_each(ids->second.begin(), ids->second.end(), visit);
  }

  std::unordered_map<std::string, Values, TextHash, std::equal_to<>> keys_;
};

}  // namespace margay::controllers
