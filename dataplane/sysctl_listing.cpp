#include "dataplane/sysctl_listing.h"

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>

namespace margay::dataplane {
namespace {

/// A place in the kernel's array of a family's settings.
struct Setting {
  const char* name;
  std::size_t place;
};
// IFLA_INET_CONF is an array of u32 from IPV4_DEVCONF_FORWARDING = 1 on (inet_fill_link_af),
// IFLA_INET6_CONF one of s32 from DEVCONF_FORWARDING = 0 on (ipv6_store_devconf).
constexpr std::array kIpv4{Setting{"forwarding", IPV4_DEVCONF_FORWARDING - 1},
                           Setting{"proxy_arp", IPV4_DEVCONF_PROXY_ARP - 1},
                           Setting{"route_localnet", IPV4_DEVCONF_ROUTE_LOCALNET - 1},
                           Setting{"rp_filter", IPV4_DEVCONF_RP_FILTER - 1}};
constexpr std::array kIpv6{Setting{"accept_ra", DEVCONF_ACCEPT_RA},
                           Setting{"forwarding", DEVCONF_FORWARDING},
                           Setting{"proxy_ndp", DEVCONF_PROXY_NDP}};

std::optional<std::int32_t> valueAt(const nlattr* array, std::size_t place) {
  std::int32_t value = 0;
  if (array == nullptr || static_cast<std::size_t>(nla_len(array)) < (place + 1) * sizeof value)
    return std::nullopt;
  std::memcpy(&value, static_cast<const char*>(nla_data(array)) + place * sizeof value,
              sizeof value);
  return value;
}

/// The array `conf` of the family `family` in IFLA_AF_SPEC.
const nlattr* settingsOf(const nlattr* specs, int family, int conf) {
  if (specs == nullptr) return nullptr;
  const auto* spec = nla_find(static_cast<const nlattr*>(nla_data(specs)), nla_len(specs), family);
  if (spec == nullptr) return nullptr;
  return nla_find(static_cast<const nlattr*>(nla_data(spec)), nla_len(spec), conf);
}

template <class Settings>
void put(const std::string& directory, const Settings& settings, const nlattr* values,
         SysctlMap& out) {
  for (const Setting& setting : settings) {
    if (const auto value = valueAt(values, setting.place))
      out.emplace(directory + setting.name, std::to_string(*value));
  }
}

void take(const nlmsghdr& message, SysctlMap& out) {
  if (message.nlmsg_type != RTM_NEWLINK || message.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg)))
    return;
  const auto* first = nlmsg_attrdata(&message, sizeof(ifinfomsg));
  const int length = nlmsg_attrlen(&message, sizeof(ifinfomsg));
  const auto* name = nla_find(first, length, IFLA_IFNAME);
  const auto* specs = nla_find(first, length, IFLA_AF_SPEC);
  if (name == nullptr) return;
  const std::string interface(static_cast<const char*>(nla_data(name)));
  put("net/ipv4/conf/" + interface + '/', kIpv4, settingsOf(specs, AF_INET, IFLA_INET_CONF), out);
  put("net/ipv6/conf/" + interface + '/', kIpv6, settingsOf(specs, AF_INET6, IFLA_INET6_CONF), out);
}

}  // namespace

Result<SysctlMap> listInterfaceSettings(NetlinkSocket& socket) {
  NetlinkBatch request;
  request.begin(RTM_GETLINK, NLM_F_DUMP);
  request.header(ifinfomsg{});
  // Without the counters, which are most of an answer.
  request.attribute(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  request.end();
  SysctlMap out;
  auto listed = socket.dump(request, [&](const nlmsghdr& message) { take(message, out); });
  if (!listed) return Fail(withContext(listed.error(), "list settings of interfaces"));
  return out;
}

}  // namespace margay::dataplane
