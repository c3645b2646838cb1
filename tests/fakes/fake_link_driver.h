#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// Interfaces and their addresses. What is public besides the driver is the world around it.
class FakeLinkDriver final : public dataplane::LinkDriver, public CallFailures {
 public:
  /// Gives it the next index if it has none; a device that is made again gets a new one, as in the
  /// kernel.
  void addLink(dataplane::Link link) {
    if (link.index == 0) link.index = nextIndex_;
    nextIndex_ = std::max(nextIndex_, link.index) + 1;
    links_.insert_or_assign(link.name, std::move(link));
  }
  void removeLink(const dataplane::IfName& name) {
    links_.erase(name);
    std::erase_if(addresses_, [&](const auto& address) { return address.device == name; });
  }
  void setUp(const dataplane::IfName& name, bool up) {
    links_.at(name).up = up;
    links_.at(name).running = up;
  }
  void addAddress(const dataplane::IfName& device, const Prefix& address) {
    addresses_.push_back({device, address});
    std::sort(addresses_.begin(), addresses_.end());
  }

  Result<dataplane::LinkMap> list() override {
    if (auto error = nextCall()) return Fail(*error);
    return links_;
  }
  Result<std::vector<dataplane::InterfaceAddress>> addresses() override {
    if (auto error = nextCall()) return Fail(*error);
    return addresses_;
  }

 private:
  dataplane::LinkMap links_;
  std::vector<dataplane::InterfaceAddress> addresses_;
  int nextIndex_ = 2;
};

}  // namespace margay::testing
