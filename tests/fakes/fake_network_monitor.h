#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::testing {

/// Reports what the test posts; its descriptor is readable while something is posted.
class FakeNetworkMonitor final : public dataplane::NetworkMonitor {
 public:
  FakeNetworkMonitor() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { MGY_CHECK(fd_ >= 0); }
  FakeNetworkMonitor(const FakeNetworkMonitor&) = delete;
  FakeNetworkMonitor& operator=(const FakeNetworkMonitor&) = delete;
  ~FakeNetworkMonitor() override { ::close(fd_); }

  /// Adds to what was posted and not read yet.
  void post(const dataplane::NetworkEvents& events) {
    pending_.links |= events.links;
    pending_.addresses |= events.addresses;
    pending_.routes |= events.routes;
    pending_.neighbours |= events.neighbours;
    pending_.settings.insert(events.settings.begin(), events.settings.end());
    pending_.allSettings |= events.allSettings;
    pending_.overflow |= events.overflow;
    MGY_CHECK(::eventfd_write(fd_, 1) == 0);
  }

  [[nodiscard]] int fd() const override { return fd_; }
  dataplane::NetworkEvents read() override {
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(fd_, &count));  // EAGAIN: nothing was posted
    return std::exchange(pending_, {});
  }

 private:
  int fd_;
  dataplane::NetworkEvents pending_;
};

}  // namespace margay::testing
