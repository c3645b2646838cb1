#pragma once

#include <algorithm>
#include <vector>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// Connection tracking. What is public besides the driver is the world around it.
class FakeConntrackDriver final : public dataplane::ConntrackDriver, public CallFailures {
 public:
  struct Flow {
    Address source;
    Address destination;
    Address replySource;
    Address replyDestination;
    bool operator==(const Flow&) const = default;
  };
  void addFlow(const Flow& flow) { flows_.push_back(flow); }
  [[nodiscard]] const std::vector<Flow>& flows() const { return flows_; }
  /// Every address that was asked to be deleted, in order.
  [[nodiscard]] const std::vector<Address>& asked() const { return asked_; }

  Result<std::size_t> deleteFlows(std::span<const Address> addresses) override {
    if (auto error = nextCall()) return Fail(*error);
    asked_.insert(asked_.end(), addresses.begin(), addresses.end());
    return std::erase_if(flows_, [&](const Flow& flow) {
      return std::any_of(addresses.begin(), addresses.end(), [&](const Address& address) {
        return flow.source == address || flow.replySource == address;
      });
    });
  }

 private:
  std::vector<Flow> flows_;
  std::vector<Address> asked_;
};

}  // namespace margay::testing
