#include "dataplane/neighbour_driver.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "dataplane/netlink_interfaces.h"
#include "dataplane/netlink_socket.h"

namespace margay::dataplane {
namespace {

std::string describe(const Change<Neighbour>& change) {
  return (change.op == Op::Remove ? "remove neighbour " : "set neighbour ") +
         change.value.key.address.str() + " on " + change.value.key.device;
}

struct NeighbourEntry {
  Neighbour neighbour;  ///< without device
  int index = 0;
};

std::optional<NeighbourEntry> parsePermanent(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWNEIGH || message.nlmsg_len < NLMSG_LENGTH(sizeof(ndmsg))) {
    return std::nullopt;
  }
  const auto* header = static_cast<const ndmsg*>(NLMSG_DATA(&message));
  if ((header->ndm_state & NUD_PERMANENT) == 0 || (header->ndm_flags & NTF_PROXY) != 0 ||
      (header->ndm_family != AF_INET && header->ndm_family != AF_INET6)) {
    return std::nullopt;
  }
  std::array<nlattr*, NDA_MAX + 1> attributes{};
  auto* mutableMessage = const_cast<nlmsghdr*>(&message);  // libnl's signature; it only reads
  if (nlmsg_parse(mutableMessage, sizeof(ndmsg), attributes.data(), NDA_MAX, nullptr) < 0) {
    return std::nullopt;
  }
  const auto* destination = attributes[NDA_DST];
  const auto* mac = attributes[NDA_LLADDR];
  NeighbourEntry entry;
  if (destination == nullptr || mac == nullptr ||
      (nla_len(destination) != 4 && nla_len(destination) != 16) ||
      static_cast<std::size_t>(nla_len(mac)) != entry.neighbour.mac.size()) {
    return std::nullopt;
  }
  entry.neighbour.key.address =
      Address::fromBytes({static_cast<const std::uint8_t*>(nla_data(destination)),
                          static_cast<std::size_t>(nla_len(destination))});
  std::copy_n(static_cast<const std::uint8_t*>(nla_data(mac)), entry.neighbour.mac.size(),
              entry.neighbour.mac.begin());
  entry.index = header->ndm_ifindex;
  return entry;
}

class KernelNeighbourDriver final : public NeighbourDriver {
 public:
  KernelNeighbourDriver(NetlinkSocket socket, InterfaceNames names)
      : socket_(std::move(socket)), names_(std::move(names)) {}

  Result<NeighbourMap> list(std::span<const std::string> prefixes) override {
    NetlinkBatch request;
    request.begin(RTM_GETNEIGH, NLM_F_DUMP);
    request.header(ndmsg{});
    request.end();
    names_.forget();
    NeighbourMap neighbours;
    auto listed = socket_.dump(request, [&](const nlmsghdr& message) {
      auto entry = parsePermanent(message);
      if (!entry) return;
      const IfName& device = names_.nameOf(entry->index);
      const bool ours = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
        return !device.empty() && device.starts_with(prefix);
      });
      if (!ours) return;
      entry->neighbour.key.device = device;
      neighbours.insert_or_assign(entry->neighbour.key, entry->neighbour);
    });
    if (!listed) return Fail(withContext(listed.error(), "list neighbours"));
    return neighbours;
  }

  std::vector<Result<void>> apply(std::span<const Change<Neighbour>> changes) override {
    std::vector<Result<void>> results(changes.size());
    names_.forget();
    batch_.clear();
    inBatch_.clear();
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (inBatch_.size() == socket_.maxBatch()) flush(changes, results);
      const int device = names_.indexOf(changes[i].value.key.device);
      if (device != 0) {
        put(changes[i], device);
        inBatch_.push_back(i);
      } else if (changes[i].op != Op::Remove) {
        results[i] = fail(Errc::NotFound, describe(changes[i]) + ": no such device", ENODEV);
      }
    }
    flush(changes, results);
    return results;
  }

 private:
  void put(const Change<Neighbour>& change, int device) {
    const bool remove = change.op == Op::Remove;
    batch_.begin(remove ? RTM_DELNEIGH : RTM_NEWNEIGH,
                 remove ? std::uint16_t{0} : std::uint16_t{NLM_F_CREATE | NLM_F_REPLACE});
    ndmsg header{};
    header.ndm_family = static_cast<unsigned char>(afOf(change.value.key.address.family()));
    header.ndm_ifindex = device;
    header.ndm_state = remove ? std::uint16_t{0} : std::uint16_t{NUD_PERMANENT};
    batch_.header(header);
    batch_.attribute(NDA_DST, change.value.key.address.bytes());
    if (!remove) batch_.attribute(NDA_LLADDR, std::span<const std::uint8_t>(change.value.mac));
    batch_.end();
  }

  void flush(std::span<const Change<Neighbour>> changes, std::vector<Result<void>>& results) {
    if (inBatch_.empty()) return;
    auto sent = socket_.send(batch_, [&](const NetlinkSocket::Refusal& refusal) {
      const std::size_t index = inBatch_[refusal.index];
      const auto& change = changes[index];
      const bool gone = refusal.sysErrno == ENOENT || refusal.sysErrno == ENODEV;
      if (change.op == Op::Remove && gone) return;
      results[index] = Fail(systemError(refusal.sysErrno, describe(change)));
    });
    if (!sent) {
      for (const std::size_t index : inBatch_) {
        if (results[index]) {
          results[index] = Fail(withContext(sent.error(), describe(changes[index])));
        }
      }
    }
    batch_.clear();
    inBatch_.clear();
  }

  NetlinkSocket socket_;
  InterfaceNames names_;
  NetlinkBatch batch_;
  std::vector<std::size_t> inBatch_;  ///< message of the batch -> change
};

}  // namespace

Result<std::unique_ptr<NeighbourDriver>> makeNeighbourDriver() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(socket.error());
  auto names = InterfaceNames::open();
  if (!names) return Fail(names.error());
  return std::make_unique<KernelNeighbourDriver>(std::move(*socket), std::move(*names));
}

}  // namespace margay::dataplane
