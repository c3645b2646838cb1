#pragma once

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// Permanent neighbours. What is public besides the driver is the world around it.
class FakeNeighbourDriver final : public dataplane::NeighbourDriver, public CallFailures {
 public:
  void addDevice(const dataplane::IfName& name) { devices_.insert(name); }
  void removeDevice(const dataplane::IfName& name) {
    devices_.erase(name);
    std::erase_if(neighbours_, [&](const auto& entry) { return entry.first.device == name; });
  }
  [[nodiscard]] const dataplane::NeighbourMap& neighbours() const { return neighbours_; }
  /// As if somebody had removed it behind our back.
  void lose(const dataplane::NeighbourKey& key) { neighbours_.erase(key); }

  Result<dataplane::NeighbourMap> list(std::span<const std::string> prefixes) override {
    if (auto error = nextCall()) return Fail(*error);
    dataplane::NeighbourMap listed = neighbours_;
    std::erase_if(listed, [&](const auto& entry) {
      return std::none_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
        return entry.first.device.starts_with(prefix);
      });
    });
    return listed;
  }

  std::vector<Result<void>> apply(std::span<const Change<dataplane::Neighbour>> changes) override {
    std::vector<Result<void>> results;
    results.reserve(changes.size());
    for (const auto& change : changes) {
      auto error = nextCall();
      results.push_back(error ? Result<void>(Fail(*error)) : applyOne(change));
    }
    return results;
  }

 private:
  Result<void> applyOne(const Change<dataplane::Neighbour>& change) {
    const auto& neighbour = change.value;
    if (change.op == Op::Remove) {
      neighbours_.erase(neighbour.key);
      return {};
    }
    if (devices_.count(neighbour.key.device) == 0) {
      return fail(Errc::NotFound, "neighbour on " + neighbour.key.device + ": no such device",
                  ENODEV);
    }
    neighbours_.insert_or_assign(neighbour.key, neighbour);
    return {};
  }

  std::set<dataplane::IfName> devices_;
  dataplane::NeighbourMap neighbours_;
};

}  // namespace margay::testing
