#pragma once

namespace margay::controllers {

/// Calls set(key, value) for what `after` has and `before` has not (or has otherwise), removed(key)
/// for what only `before` has; removals first. Maps. O(both log both).
template <class Map, class Removed, class Set>
void difference(const Map& before, const Map& after, Removed&& removed, Set&& set) {
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) removed(key);
  }
  for (const auto& [key, value] : after) {
    const auto old = before.find(key);
    if (old == before.end() || old->second != value) set(key, value);
  }
}

}  // namespace margay::controllers
