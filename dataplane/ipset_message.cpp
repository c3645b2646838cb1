#include "dataplane/ipset_message.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace margay::dataplane {
namespace {

constexpr std::uint16_t kNested = NLA_F_NESTED;
constexpr std::uint16_t kNetOrder = NLA_F_NET_BYTEORDER;

constexpr std::size_t aligned(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

/// Writes header and payload at `at`; returns the end, padded with zeros.
std::byte* put(std::byte* at, std::uint16_t type, const void* payload, std::size_t size) {
  const nlattr header{static_cast<std::uint16_t>(NLA_HDRLEN + size), type};
  std::memcpy(at, &header, sizeof header);
  at += NLA_HDRLEN;
  std::memcpy(at, payload, size);
  std::memset(at + size, 0, aligned(size) - size);
  return at + aligned(size);
}

void setLength(std::byte* attribute, const std::byte* end, std::uint16_t type) {
  const nlattr header{static_cast<std::uint16_t>(end - attribute), type};
  std::memcpy(attribute, &header, sizeof header);
}

bool hasPorts(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
         protocol == IPPROTO_UDPLITE;
}

}  // namespace

const char* kernelTypeName(SetType type) {
  switch (type) {
    case SetType::HashNet:
      return "hash:net";
    case SetType::HashIpPort:
      return "hash:ip,port";
    case SetType::HashNetIface:
      return "hash:net,iface";
    case SetType::NumberMap:
    case SetType::HashAddress:
      break;
  }
  return "";
}

std::optional<SetType> setTypeOf(std::string_view kernelName) {
  for (const auto type : {SetType::HashNet, SetType::HashIpPort, SetType::HashNetIface}) {
    if (kernelName == kernelTypeName(type)) return type;
  }
  return std::nullopt;
}

const char* memberProblem(const SetShape& shape, const SetMember& member) {
  if (member.net.family() != shape.family) return "the set is of the other IP family";
  if (member.net.length > addressBits(shape.family)) return "the prefix is too long";
  if (shape.type != SetType::HashNetIface && !member.device.empty())
    return "the set has no interfaces";
  if (shape.type != SetType::HashIpPort && (member.protocol != 0 || member.port != 0)) {
    return "the set has no ports";
  }
  if (!member.target.empty()) return "the set is no map";
  switch (shape.type) {
    case SetType::NumberMap:
    case SetType::HashAddress:
      return "ipset has no such type";
    case SetType::HashNet:
      if (member.net.length == 0) return "hash:net cannot hold a /0: use the two /1";
      return nullptr;
    case SetType::HashIpPort:
      if (!member.net.isHost()) return "hash:ip,port holds single addresses only";
      if (!hasPorts(member.protocol)) return "the protocol has no ports";
      return nullptr;
    case SetType::HashNetIface:
      if (member.device.empty() || member.device.view().size() >= IFNAMSIZ) {
        return "an interface's name has 1 to 15 bytes";
      }
      return nullptr;
  }
  return nullptr;
}

void IpsetMessages::begin(std::uint8_t command, std::uint16_t flags, std::uint32_t sequence) {
  message_ = size_;
  nlmsghdr header{};
  header.nlmsg_type = static_cast<std::uint16_t>((NFNL_SUBSYS_IPSET << 8) | command);
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header.nlmsg_seq = sequence;
  std::memcpy(buffer_.data() + size_, &header, sizeof header);
  nfgenmsg general{};
  general.nfgen_family = AF_INET;
  general.version = NFNETLINK_V0;
  std::memcpy(buffer_.data() + size_ + NLMSG_HDRLEN, &general, sizeof general);
  size_ += NLMSG_HDRLEN + sizeof general;
  // 6 is what kernels of all versions accept for the commands that we use.
  putU8(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
}

void IpsetMessages::putString(std::uint16_t attribute, std::string_view text) {
  char terminated[IPSET_MAXNAMELEN] = {};
  std::memcpy(terminated, text.data(), std::min(text.size(), sizeof terminated - 1));
  auto* end = put(buffer_.data() + size_, attribute, terminated, std::strlen(terminated) + 1);
  size_ = static_cast<std::size_t>(end - buffer_.data());
}

void IpsetMessages::putU8(std::uint16_t attribute, std::uint8_t value) {
  size_ =
      static_cast<std::size_t>(put(buffer_.data() + size_, attribute, &value, 1) - buffer_.data());
}

void IpsetMessages::putNetU32(std::uint16_t attribute, std::uint32_t value) {
  const std::uint32_t valueBe = htonl(value);
  auto* end = put(buffer_.data() + size_, attribute | kNetOrder, &valueBe, sizeof valueBe);
  size_ = static_cast<std::size_t>(end - buffer_.data());
}

void IpsetMessages::beginElements() {
  // The kernel writes the failing line into this attribute of the copy that it sends back.
  putNetU32(IPSET_ATTR_LINENO, 0);
  elements_ = size_;
  size_ += NLA_HDRLEN;
}

void IpsetMessages::putElement(const SetMember& member, std::uint32_t line) {
  std::byte* const start = buffer_.data() + size_;
  std::byte* const address = start + NLA_HDRLEN;
  const auto bytes = member.net.address.bytes();
  const std::uint16_t kind = bytes.size() == 4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6;
  std::byte* at = put(address + NLA_HDRLEN, kind | kNetOrder, bytes.data(), bytes.size());
  setLength(address, at, IPSET_ATTR_IP | kNested);
  if (!member.net.isHost()) at = put(at, IPSET_ATTR_CIDR, &member.net.length, 1);
  if (member.protocol != 0) {
    const std::uint16_t portBe = htons(member.port);
    at = put(at, IPSET_ATTR_PORT | kNetOrder, &portBe, sizeof portBe);
    at = put(at, IPSET_ATTR_PROTO, &member.protocol, 1);
  }
  if (!member.device.empty())
    at = put(at, IPSET_ATTR_IFACE, member.device.view().data(), member.device.view().size() + 1);
  if (line != 0) at = put(at, IPSET_ATTR_LINENO, &line, sizeof line);
  setLength(start, at, IPSET_ATTR_DATA | kNested);
  size_ = static_cast<std::size_t>(at - buffer_.data());
}

void IpsetMessages::endElements() {
  setLength(buffer_.data() + elements_, buffer_.data() + size_, IPSET_ATTR_ADT | kNested);
}

void IpsetMessages::end(std::uint16_t flags) {
  nlmsghdr header{};
  std::memcpy(&header, buffer_.data() + message_, sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(size_ - message_);
  header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | flags);
  std::memcpy(buffer_.data() + message_, &header, sizeof header);
}

}  // namespace margay::dataplane
