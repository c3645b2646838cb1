#include "dataplane/route_message.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <span>

namespace margay::dataplane {
namespace {

constexpr std::uint32_t kIpv6DefaultMetric = 1024;

using Attributes = std::array<nlattr*, RTA_MAX + 1>;

std::span<const std::uint8_t> payload(const nlattr* attribute) {
  return {static_cast<const std::uint8_t*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

std::optional<Address> addressOf(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const auto bytes = payload(attribute);
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  return Address::fromBytes(bytes);
}

// A gateway of the other family: two bytes of family, then the address.
std::optional<Address> viaOf(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const auto bytes = payload(attribute);
  if (bytes.size() != 6 && bytes.size() != 18) return std::nullopt;
  return Address::fromBytes(bytes.subspan(2));
}

rtmsg headerFor(const RouteKey& key) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(afOf(key.destination.family()));
  header.rtm_dst_len = key.destination.length;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_table = key.table < 256 ? static_cast<unsigned char>(key.table)
                                     : static_cast<unsigned char>(RT_TABLE_UNSPEC);
  return header;
}

void putKey(NetlinkBatch& batch, const RouteKey& key) {
  if (key.destination.length != 0) {
    batch.attribute(RTA_DST, key.destination.address.bytes());
  }
  if (key.table >= 256) batch.attribute(RTA_TABLE, key.table);
  if (key.metric != 0) batch.attribute(RTA_PRIORITY, key.metric);
}

void putGateway(NetlinkBatch& batch, Family family, const Address& gateway) {
  if (gateway.family() == family) {
    batch.attribute(RTA_GATEWAY, gateway.bytes());
    return;
  }
  std::array<std::uint8_t, 18> via{};
  const auto af = static_cast<std::uint16_t>(afOf(gateway.family()));
  std::memcpy(via.data(), &af, sizeof af);
  std::memcpy(via.data() + sizeof af, gateway.bytes().data(), gateway.bytes().size());
  batch.attribute(RTA_VIA,
                  std::span<const std::uint8_t>(via).first(sizeof af + gateway.bytes().size()));
}

}  // namespace

RouteKey storedKey(RouteKey key) {
  if (key.destination.family() == Family::V6 && key.metric == 0) key.metric = kIpv6DefaultMetric;
  return key;
}

void putNewRoute(NetlinkBatch& batch, const Route& route, int index, IfPresent ifPresent) {
  batch.begin(RTM_NEWROUTE,
              static_cast<std::uint16_t>(
                  NLM_F_CREATE | (ifPresent == IfPresent::Refuse ? NLM_F_EXCL : NLM_F_REPLACE)));
  const RouteKey key = storedKey(route.key);
  rtmsg header = headerFor(key);
  header.rtm_type = route.type == RouteType::Blackhole ? RTN_BLACKHOLE : RTN_UNICAST;
  header.rtm_scope = route.scope == RouteScope::Link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_flags = route.onLink ? RTNH_F_ONLINK : 0;
  batch.header(header);
  putKey(batch, key);
  if (index != 0) batch.attribute(RTA_OIF, static_cast<std::uint32_t>(index));
  if (route.gateway) putGateway(batch, key.destination.family(), *route.gateway);
  if (route.source) batch.attribute(RTA_PREFSRC, route.source->bytes());
  batch.end();
}

void putDeleteRoute(NetlinkBatch& batch, const RouteKey& asked) {
  const RouteKey key = storedKey(asked);
  batch.begin(RTM_DELROUTE, 0);
  rtmsg header = headerFor(key);
  header.rtm_scope = RT_SCOPE_NOWHERE;  // any scope; a type of 0 is any type
  batch.header(header);
  putKey(batch, key);
  batch.end();
}

void putRouteDump(NetlinkBatch& batch, Family family, std::uint8_t protocol, std::uint32_t table) {
  batch.begin(RTM_GETROUTE, NLM_F_DUMP);
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(afOf(family));
  header.rtm_protocol = protocol;
  batch.header(header);
  if (table != 0) batch.attribute(RTA_TABLE, table);
  batch.end();
}

std::optional<RouteEntry> parseRoute(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWROUTE || message.nlmsg_len < NLMSG_LENGTH(sizeof(rtmsg))) {
    return std::nullopt;
  }
  const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(&message));
  const bool v4 = header->rtm_family == AF_INET;
  if (!v4 && header->rtm_family != AF_INET6) return std::nullopt;
  if ((header->rtm_flags & RTM_F_CLONED) != 0 || header->rtm_tos != 0 || header->rtm_src_len != 0) {
    return std::nullopt;
  }
  Attributes attributes{};
  auto* mutableMessage = const_cast<nlmsghdr*>(&message);  // libnl's signature; it only reads
  if (nlmsg_parse(mutableMessage, sizeof(rtmsg), attributes.data(), RTA_MAX, nullptr) < 0) {
    return std::nullopt;
  }
  RouteEntry entry;
  entry.protocol = header->rtm_protocol;
  Route& route = entry.route;
  std::array<std::uint8_t, 16> any{};
  const auto destination = addressOf(attributes[RTA_DST]);
  route.key.destination.address =
      destination.value_or(Address::fromBytes({any.data(), v4 ? std::size_t{4} : any.size()}));
  route.key.destination.length = header->rtm_dst_len;
  route.key.table =
      attributes[RTA_TABLE] != nullptr ? nla_get_u32(attributes[RTA_TABLE]) : header->rtm_table;
  if (attributes[RTA_PRIORITY] != nullptr) route.key.metric = nla_get_u32(attributes[RTA_PRIORITY]);
  if (v4 && header->rtm_scope == RT_SCOPE_LINK) route.scope = RouteScope::Link;
  if (header->rtm_type != RTN_UNICAST) {
    // Everything that drops counts as a blackhole; IPv6 shows it with the loopback as device.
    route.type = RouteType::Blackhole;
    return entry;
  }
  route.source = addressOf(attributes[RTA_PREFSRC]);
  if (attributes[RTA_MULTIPATH] != nullptr) return entry;
  if (attributes[RTA_OIF] != nullptr) {
    entry.index = static_cast<int>(nla_get_u32(attributes[RTA_OIF]));
  }
  route.gateway = addressOf(attributes[RTA_GATEWAY]);
  if (!route.gateway) route.gateway = viaOf(attributes[RTA_VIA]);
  route.onLink = (header->rtm_flags & RTNH_F_ONLINK) != 0;
  return entry;
}

}  // namespace margay::dataplane
