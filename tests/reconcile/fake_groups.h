#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "reconcile/grouped_table.h"
#include "tests/fakes/call_failures.h"

namespace margay::reconcile::testing {

/// Named sets of numbers with a type, as ipsets are. List, items, create and destroy are one call
/// each, an apply one call an item, as CallFailures counts them.
class FakeGroups : public margay::testing::CallFailures {
 public:
  struct Set {
    std::string type;
    std::set<int> items;
    bool operator==(const Set&) const = default;
  };
  using Sets = std::map<std::string, Set>;

  Sets sets;
  std::set<std::string> referenced;  ///< cannot be destroyed
  std::map<int, Error> refuse;       ///< changes of these items fail so
  std::vector<std::string> log;      ///< "create a", "add a 1", ... in order of execution
  std::vector<std::string> reads;    ///< groups whose items were read
  std::map<GroupStep, Phase> phases = {{GroupStep::Create, 1},
                                       {GroupStep::FillNew, 1},
                                       {GroupStep::AddItem, 3},
                                       {GroupStep::RemoveItem, 4},
                                       {GroupStep::Destroy, 9}};

  GroupedDriver<std::string, std::string, int> driver() {
    return {
        .list = [this] { return list(); },
        .items = [this](const auto& name) { return items(name); },
        .create = [this](const auto& name, const auto& type) { return create(name, type); },
        .destroy = [this](const auto& name) { return destroy(name); },
        .apply = [this](const auto& name, auto changes) { return apply(name, changes); },
        .phaseOf = [this](GroupStep step, const auto&) { return phases.at(step); },
        .describeGroup = [](const auto& name) { return "set " + name; },
        .describeItem = [](const auto& name,
                           int item) { return "set " + name + " item " + std::to_string(item); }};
  }

 private:
  Result<std::map<std::string, GroupHeader<std::string>>> list() {
    if (auto error = nextCall()) return Fail(*error);
    std::map<std::string, GroupHeader<std::string>> out;
    for (const auto& [name, set] : sets) out[name] = {set.type, set.items.size()};
    return out;
  }
  Result<std::vector<int>> items(const std::string& name) {
    if (auto error = nextCall()) return Fail(*error);
    reads.push_back(name);
    const auto found = sets.find(name);
    if (found == sets.end()) return fail(Errc::NotFound, "no set " + name);
    return std::vector<int>(found->second.items.begin(), found->second.items.end());
  }
  Result<void> create(const std::string& name, const std::string& type) {
    if (auto error = nextCall()) return Fail(*error);
    if (sets.count(name) != 0) return fail(Errc::Stale, "exists: " + name);
    log.push_back("create " + name);
    sets[name].type = type;
    return {};
  }
  Result<void> destroy(const std::string& name) {
    if (auto error = nextCall()) return Fail(*error);
    if (referenced.count(name) != 0) return fail(Errc::Transient, "in use: " + name);
    if (sets.count(name) == 0) return fail(Errc::NotFound, "no set " + name);
    log.push_back("destroy " + name);
    sets.erase(name);
    return {};
  }
  std::vector<Result<void>> apply(const std::string& name, std::span<const Change<int>> changes) {
    std::vector<Result<void>> out;
    for (const auto& change : changes) out.push_back(applyOne(name, change));
    return out;
  }
  Result<void> applyOne(const std::string& name, const Change<int>& change) {
    if (auto error = nextCall()) return Fail(*error);
    if (const auto found = refuse.find(change.value); found != refuse.end()) {
      return Fail(found->second);
    }
    const auto set = sets.find(name);
    if (set == sets.end()) return fail(Errc::NotFound, "no set " + name);
    const bool remove = change.op == Op::Remove;
    log.push_back((remove ? "remove " : "add ") + name + " " + std::to_string(change.value));
    if (remove) {
      set->second.items.erase(change.value);
    } else {
      set->second.items.insert(change.value);
    }
    return {};
  }
};

}  // namespace margay::reconcile::testing
