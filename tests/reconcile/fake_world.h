#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "reconcile/keyed_table.h"
#include "tests/fakes/call_failures.h"

namespace margay::reconcile::testing {

inline constexpr Phase kAddPhase = 10;
inline constexpr Phase kRemovePhase = 20;

/// A kernel table of numbers and texts. A list is one call, an apply one call a change, as
/// CallFailures counts them.
class FakeWorld : public margay::testing::CallFailures {
 public:
  std::map<int, std::string> entries;
  std::vector<std::string> log;                  ///< "add 1", ... in order of execution
  std::map<int, Error> refuse;                   ///< changes of these keys fail so
  std::vector<std::map<int, std::string>> torn;  ///< what the next lists claim
  std::vector<std::size_t> batches;
  unsigned lists = 0;

  KeyedDriver<int, std::string> driver() {
    return {
        .list = [this] { return list(); },
        .apply = [this](auto changes) { return apply(changes); },
        .phaseOf = [](Op op, int,
                      const std::string&) { return op == Op::Remove ? kRemovePhase : kAddPhase; },
        .describe = [](int key,
                       const std::string& value) { return std::to_string(key) + "=" + value; }};
  }
  /// Differs with keys and sizes, not with an edit in place.
  Fingerprint fingerprint() const {
    Fingerprint out = 1;
    for (const auto& [key, value] : entries) {
      out = out * 31 + static_cast<Fingerprint>(key) + value.size();
    }
    return out;
  }

 private:
  Result<std::map<int, std::string>> list() {
    ++lists;
    if (auto error = nextCall()) return Fail(*error);
    if (torn.empty()) return entries;
    auto out = torn.front();
    torn.erase(torn.begin());
    return out;
  }

  std::vector<Result<void>> apply(std::span<const KeyedChange<int, std::string>> changes) {
    batches.push_back(changes.size());
    std::vector<Result<void>> out;
    for (const auto& change : changes) out.push_back(applyOne(change));
    return out;
  }

  Result<void> applyOne(const KeyedChange<int, std::string>& change) {
    static constexpr const char* kNames[] = {"add ", "replace ", "remove "};
    if (auto error = nextCall()) return Fail(*error);
    if (auto refused = refuse.find(*change.key); refused != refuse.end())
      return Fail(refused->second);
    log.push_back(kNames[static_cast<int>(change.op)] + std::to_string(*change.key));
    if (change.op == Op::Remove) {
      entries.erase(*change.key);
    } else {
      entries[*change.key] = *change.value;
    }
    return {};
  }
};

/// Runs passes over one table, as the loop does.
inline Progress pass(Table& table, Removals removals, TimePoint now) {
  Progress sum;
  (void)table.refresh(now, reconcile::Checks::Now).has_value();
  auto phase = table.nextPhase(0, removals);
  while (phase && !sum.more) {
    const Progress step = table.apply(*phase, removals, now);
    sum.changed += step.changed;
    sum.failed += step.failed;
    sum.more = step.more;
    sum.again = sum.again || step.again;
    phase = table.nextPhase(*phase + 1, removals);
  }
  return sum;
}

}  // namespace margay::reconcile::testing
