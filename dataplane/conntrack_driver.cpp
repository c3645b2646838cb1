#include "dataplane/conntrack_driver.h"

#include <linux/netlink.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <unordered_set>
#include <utility>

#include "dataplane/conntrack_message.h"
#include "dataplane/netlink_socket.h"

namespace margay::dataplane {
namespace {

/// Of the network namespace in which the thread is now; 0 if the kernel does not say.
std::size_t flowsOfHost() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_count");
  std::size_t count = 0;
  file >> count;
  return count;
}

class KernelConntrackDriver final : public ConntrackDriver {
 public:
  KernelConntrackDriver(NetlinkSocket socket, std::size_t manyFlows)
      : socket_(std::move(socket)), manyFlows_(manyFlows) {}

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
  /// For few addresses among many flows the kernel looks for them: it walks the table twice for
  /// each, but does not write out every flow of the host.
  Result<void> collect() {
    if (flowsOfHost() < manyFlows_ * wanted_.size()) {
      batch_.clear();
      putFlowDump(batch_);
      return take();
    }
    for (const auto& address : wanted_) {
      for (const auto end : {FlowEnd::Originator, FlowEnd::Responder}) {
        batch_.clear();
        putFlowDump(batch_, end, address);
        if (auto taken = take(); !taken) return taken;
      }
    }
    return {};
  }

  Result<void> take() {
    return socket_.dump(batch_, [&](const nlmsghdr& message) {
      const auto ends = flowEnds(message);
      if (ends && (wanted_.contains(ends->originator) || wanted_.contains(ends->responder)))
        found_.push_back(flowIdentity(message));
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
  std::size_t manyFlows_;
  NetlinkBatch batch_;
  std::unordered_set<Address> wanted_;
  std::vector<FlowIdentity> found_;
};

}  // namespace

Result<std::unique_ptr<ConntrackDriver>> makeConntrackDriver(std::size_t manyFlows) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return Fail(socket.error());
  return std::make_unique<KernelConntrackDriver>(std::move(*socket), manyFlows);
}

}  // namespace margay::dataplane
