#include "dataplane/conntrack_message.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <span>

namespace margay::dataplane {
namespace {

constexpr std::uint16_t messageType(std::uint16_t type) {
  return static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | type);
}

std::optional<Address> addressOf(const nlattr* v4, const nlattr* v6) {
  const auto* attribute = v4 != nullptr ? v4 : v6;
  if (attribute == nullptr || (nla_len(attribute) != 4 && nla_len(attribute) != 16)) {
    return std::nullopt;
  }
  return Address::fromBytes({static_cast<const std::uint8_t*>(nla_data(attribute)),
                             static_cast<std::size_t>(nla_len(attribute))});
}

std::optional<Address> sourceOf(nlattr* tuple) {
  if (tuple == nullptr) return std::nullopt;
  auto* addresses = nla_find(static_cast<nlattr*>(nla_data(tuple)), nla_len(tuple), CTA_TUPLE_IP);
  if (addresses == nullptr) return std::nullopt;
  std::array<nlattr*, CTA_IP_MAX + 1> parts{};
  if (nla_parse_nested(parts.data(), CTA_IP_MAX, addresses, nullptr) < 0) return std::nullopt;
  return addressOf(parts[CTA_IP_V4_SRC], parts[CTA_IP_V6_SRC]);
}

bool isEntry(const nlmsghdr& message) {
  return message.nlmsg_type == messageType(IPCTNL_MSG_CT_NEW) &&
         message.nlmsg_len >= NLMSG_LENGTH(sizeof(nfgenmsg));
}

nlattr* findAttribute(const nlmsghdr& entry, int type) {
  auto* mutableEntry = const_cast<nlmsghdr*>(&entry);  // libnl's signature; it only reads
  return nlmsg_find_attr(mutableEntry, sizeof(nfgenmsg), type);
}

void beginFlow(NetlinkBatch& batch, std::uint16_t type, std::uint16_t flags, int family) {
  batch.begin(messageType(type), flags);
  nfgenmsg header{};
  header.nfgen_family = static_cast<std::uint8_t>(family);
  header.version = NFNETLINK_V0;
  batch.header(header);
}

}  // namespace

void putFlowDump(NetlinkBatch& batch) {
  beginFlow(batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
  batch.end();
}

void putFlowDump(NetlinkBatch& batch, FlowEnd end, const Address& address) {
  constexpr std::uint32_t kSourceOnly = 1;  // CTA_FILTER_F_CTA_IP_SRC of the kernel's ctnetlink
  const bool originator = end == FlowEnd::Originator;
  const bool v4 = address.family() == Family::V4;
  beginFlow(batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, v4 ? AF_INET : AF_INET6);
  const auto tuple = batch.beginNested(originator ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY);
  const auto ip = batch.beginNested(CTA_TUPLE_IP);
  batch.attribute(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, address.bytes());
  batch.endNested(ip);
  batch.endNested(tuple);
  const auto filter = batch.beginNested(CTA_FILTER);
  batch.attribute(CTA_FILTER_ORIG_FLAGS, originator ? kSourceOnly : std::uint32_t{0});
  batch.attribute(CTA_FILTER_REPLY_FLAGS, originator ? std::uint32_t{0} : kSourceOnly);
  batch.endNested(filter);
  batch.end();
}

std::optional<FlowEnds> flowEnds(const nlmsghdr& entry) {
  if (!isEntry(entry)) return std::nullopt;
  const auto originator = sourceOf(findAttribute(entry, CTA_TUPLE_ORIG));
  const auto responder = sourceOf(findAttribute(entry, CTA_TUPLE_REPLY));
  if (!originator || !responder) return std::nullopt;
  return FlowEnds{*originator, *responder};
}

FlowIdentity flowIdentity(const nlmsghdr& entry) {
  FlowIdentity identity;
  identity.family = static_cast<const nfgenmsg*>(NLMSG_DATA(&entry))->nfgen_family;
  for (const int type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
    const auto* attribute = findAttribute(entry, type);
    if (attribute == nullptr) continue;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(attribute);
    identity.attributes.insert(identity.attributes.end(), bytes,
                               bytes + nla_total_size(nla_len(attribute)));
  }
  return identity;
}

void putFlowDelete(NetlinkBatch& batch, const FlowIdentity& flow) {
  beginFlow(batch, IPCTNL_MSG_CT_DELETE, 0, flow.family);
  batch.append(flow.attributes);
  batch.end();
}

}  // namespace margay::dataplane
