#include "dataplane/conntrack_driver.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_set>
#include <utility>

#include "dataplane/conntrack_message.h"
#include "dataplane/netlink_socket.h"

namespace margay::dataplane {
namespace {

class KernelConntrackDriver final : public ConntrackDriver {
 public:
  explicit KernelConntrackDriver(NetlinkSocket socket) : socket_(std::move(socket)) {}

  Result<std::size_t> deleteFlows(std::span<const Address> addresses) override {
    wanted_.clear();
    wanted_.insert(addresses.begin(), addresses.end());
    found_.clear();
    if (wanted_.empty()) return 0;
    if (auto collected = collect(); !collected) {
      Error error = withContext(collected.error(), "list flows");
      // nfnetlink says EINVAL for a subsystem that it does not have.
      if (error.sysErrno == EINVAL) error.code = Errc::Unsupported;
      return Fail(std::move(error));
    }
    return deleteFound();
  }

 private:
  Result<void> collect() {
    batch_.clear();
    putFlowDump(batch_);
    return socket_.dump(batch_, [&](const nlmsghdr& message) {
      const auto ends = flowAddresses(message);
      if (!ends) return;
      const bool hit = std::any_of(ends->begin(), ends->end(),
                                   [&](const Address& end) { return wanted_.count(end) != 0; });
      if (hit) found_.push_back(flowIdentity(message));
    });
  }

  Result<std::size_t> deleteFound() {
    std::size_t deleted = 0;
    std::optional<Error> error;
    for (std::size_t next = 0; next < found_.size();) {
      batch_.clear();
      const std::size_t first = next;
      while (next < found_.size() && batch_.messages() < socket_.maxBatch()) {
        putFlowDelete(batch_, found_[next++]);
      }
      deleted += next - first;
      auto sent = socket_.send(batch_, [&](const NetlinkSocket::Refusal& refusal) {
        --deleted;
        if (refusal.sysErrno != ENOENT) error = systemError(refusal.sysErrno, "delete a flow");
      });
      if (!sent) return Fail(withContext(sent.error(), "delete flows"));
    }
    if (error) return Fail(*error);
    return deleted;
  }

  NetlinkSocket socket_;
  NetlinkBatch batch_;
  std::unordered_set<Address> wanted_;
  std::vector<FlowIdentity> found_;
};

}  // namespace

Result<std::unique_ptr<ConntrackDriver>> makeConntrackDriver() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return Fail(socket.error());
  return std::make_unique<KernelConntrackDriver>(std::move(*socket));
}

}  // namespace margay::dataplane
