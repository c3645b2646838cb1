#include "dataplane/conntrack_message.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

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

struct Ends {
  Address source;
  Address destination;
};

std::optional<Ends> endsOf(nlattr* tuple) {
  if (tuple == nullptr) return std::nullopt;
  auto* addresses = nla_find(static_cast<nlattr*>(nla_data(tuple)), nla_len(tuple), CTA_TUPLE_IP);
  if (addresses == nullptr) return std::nullopt;
  std::array<nlattr*, CTA_IP_MAX + 1> parts{};
  if (nla_parse_nested(parts.data(), CTA_IP_MAX, addresses, nullptr) < 0) return std::nullopt;
  const auto source = addressOf(parts[CTA_IP_V4_SRC], parts[CTA_IP_V6_SRC]);
  const auto destination = addressOf(parts[CTA_IP_V4_DST], parts[CTA_IP_V6_DST]);
  if (!source || !destination) return std::nullopt;
  return Ends{*source, *destination};
}

bool isEntry(const nlmsghdr& message) {
  return message.nlmsg_type == messageType(IPCTNL_MSG_CT_NEW) &&
         message.nlmsg_len >= NLMSG_LENGTH(sizeof(nfgenmsg));
}

nlattr* findAttribute(const nlmsghdr& entry, int type) {
  auto* mutableEntry = const_cast<nlmsghdr*>(&entry);  // libnl's signature; it only reads
  return nlmsg_find_attr(mutableEntry, sizeof(nfgenmsg), type);
}

}  // namespace

void putFlowDump(NetlinkBatch& batch) {
  batch.begin(messageType(IPCTNL_MSG_CT_GET), NLM_F_DUMP);
  nfgenmsg header{};
  header.nfgen_family = AF_UNSPEC;
  header.version = NFNETLINK_V0;
  batch.header(header);
  batch.end();
}

std::optional<FlowAddresses> flowAddresses(const nlmsghdr& entry) {
  if (!isEntry(entry)) return std::nullopt;
  const auto original = endsOf(findAttribute(entry, CTA_TUPLE_ORIG));
  const auto reply = endsOf(findAttribute(entry, CTA_TUPLE_REPLY));
  if (!original || !reply) return std::nullopt;
  return FlowAddresses{original->source, original->destination, reply->source, reply->destination};
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
  batch.begin(messageType(IPCTNL_MSG_CT_DELETE), 0);
  nfgenmsg header{};
  header.nfgen_family = flow.family;
  header.version = NFNETLINK_V0;
  batch.header(header);
  batch.append(flow.attributes);
  batch.end();
}

}  // namespace margay::dataplane
