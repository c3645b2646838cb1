#include "dataplane/link_driver.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "dataplane/netlink_interfaces.h"
#include "dataplane/netlink_socket.h"

namespace margay::dataplane {
namespace {

constexpr unsigned kLowerUp = 1U << 16;  // IFF_LOWER_UP, which net/if.h lacks

std::string_view textOf(const nlattr* attribute) {
  const auto* text = static_cast<const char*>(nla_data(attribute));
  return {text, ::strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

std::string kindOf(nlattr* linkInfo) {
  std::array<nlattr*, IFLA_INFO_MAX + 1> info{};
  if (linkInfo == nullptr || nla_parse_nested(info.data(), IFLA_INFO_MAX, linkInfo, nullptr) < 0 ||
      info[IFLA_INFO_KIND] == nullptr) {
    return {};
  }
  return std::string(textOf(info[IFLA_INFO_KIND]));
}

std::optional<Link> parseLink(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWLINK || message.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) {
    return std::nullopt;
  }
  const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  std::array<nlattr*, IFLA_MAX + 1> attributes{};
  auto* mutableMessage = const_cast<nlmsghdr*>(&message);  // libnl's signature; it only reads
  if (nlmsg_parse(mutableMessage, sizeof(ifinfomsg), attributes.data(), IFLA_MAX, nullptr) < 0 ||
      attributes[IFLA_IFNAME] == nullptr) {
    return std::nullopt;
  }
  Link link;
  link.name = textOf(attributes[IFLA_IFNAME]);
  link.index = header->ifi_index;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.running = (header->ifi_flags & kLowerUp) != 0;
  if (const auto* mac = attributes[IFLA_ADDRESS];
      mac != nullptr && static_cast<std::size_t>(nla_len(mac)) == link.mac.size()) {
    std::copy_n(static_cast<const std::uint8_t*>(nla_data(mac)), link.mac.size(), link.mac.begin());
  }
  if (attributes[IFLA_MTU] != nullptr) link.mtu = nla_get_u32(attributes[IFLA_MTU]);
  link.kind = kindOf(attributes[IFLA_LINKINFO]);
  return link;
}

struct AddressEntry {
  Prefix address;
  int index = 0;
};

std::optional<AddressEntry> parseAddress(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWADDR || message.nlmsg_len < NLMSG_LENGTH(sizeof(ifaddrmsg))) {
    return std::nullopt;
  }
  const auto* header = static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
  std::array<nlattr*, IFA_MAX + 1> attributes{};
  auto* mutableMessage = const_cast<nlmsghdr*>(&message);
  if (nlmsg_parse(mutableMessage, sizeof(ifaddrmsg), attributes.data(), IFA_MAX, nullptr) < 0) {
    return std::nullopt;
  }
  // On a point-to-point interface IFA_ADDRESS is the peer's; our own is IFA_LOCAL where that
  // exists.
  const auto* own =
      attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  if (own == nullptr || (nla_len(own) != 4 && nla_len(own) != 16)) return std::nullopt;
  AddressEntry entry;
  entry.address.address = Address::fromBytes(
      {static_cast<const std::uint8_t*>(nla_data(own)), static_cast<std::size_t>(nla_len(own))});
  entry.address.length = header->ifa_prefixlen;
  entry.index = static_cast<int>(header->ifa_index);
  return entry;
}

class KernelLinkDriver final : public LinkDriver {
 public:
  KernelLinkDriver(NetlinkSocket socket, InterfaceNames names)
      : socket_(std::move(socket)), names_(std::move(names)) {}

  Result<LinkMap> list() override {
    NetlinkBatch request;
    request.begin(RTM_GETLINK, NLM_F_DUMP);
    request.header(ifinfomsg{});
    // Without the counters, which are most of an answer.
    request.attribute(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
    request.end();
    LinkMap links;
    auto listed = socket_.dump(request, [&](const nlmsghdr& message) {
      if (auto link = parseLink(message)) links.insert_or_assign(link->name, std::move(*link));
    });
    if (!listed) return Fail(withContext(listed.error(), "list links"));
    return links;
  }

  Result<std::vector<InterfaceAddress>> addresses() override {
    NetlinkBatch request;
    request.begin(RTM_GETADDR, NLM_F_DUMP);
    request.header(ifaddrmsg{});
    request.end();
    names_.forget();
    std::vector<InterfaceAddress> addresses;
    auto listed = socket_.dump(request, [&](const nlmsghdr& message) {
      const auto entry = parseAddress(message);
      if (!entry) return;
      const IfName& device = names_.nameOf(entry->index);
      if (!device.empty()) addresses.push_back({device, entry->address});
    });
    if (!listed) return Fail(withContext(listed.error(), "list addresses"));
    std::sort(addresses.begin(), addresses.end());
    return addresses;
  }

 private:
  NetlinkSocket socket_;
  InterfaceNames names_;
};

}  // namespace

Result<std::unique_ptr<LinkDriver>> makeLinkDriver() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(socket.error());
  auto names = InterfaceNames::open();
  if (!names) return Fail(names.error());
  return std::make_unique<KernelLinkDriver>(std::move(*socket), std::move(*names));
}

}  // namespace margay::dataplane
