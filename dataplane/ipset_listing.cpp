#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cstring>

#include "dataplane/ipset_message.h"

namespace margay::dataplane {
namespace {

using CommandAttributes = std::array<nlattr*, IPSET_ATTR_CMD_MAX + 1>;
using CreateAttributes = std::array<nlattr*, IPSET_ATTR_CREATE_MAX + 1>;
using ElementAttributes = std::array<nlattr*, IPSET_ATTR_ADT_MAX + 1>;

// libnl takes mutable pointers where it only reads.
CommandAttributes attributesOf(const nlmsghdr& message) {
  CommandAttributes out{};
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(nfgenmsg))) return out;
  nlmsg_parse(const_cast<nlmsghdr*>(&message), sizeof(nfgenmsg), out.data(), IPSET_ATTR_CMD_MAX,
              nullptr);
  return out;
}

std::string_view textOf(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* text = static_cast<const char*>(nla_data(attribute));
  return {text, strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

std::uint32_t numberOf(const nlattr* attribute) {
  std::uint32_t value = 0;
  if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof value)) return 0;
  std::memcpy(&value, nla_data(attribute), sizeof value);
  // The flag that says so is set by all kernels that we know of.
  return ntohl(value);
}

std::uint8_t byteOf(const nlattr* attribute, std::uint8_t otherwise) {
  if (attribute == nullptr || nla_len(attribute) < 1) return otherwise;
  return *static_cast<const std::uint8_t*>(nla_data(attribute));
}

std::optional<Family> familyOf(const CommandAttributes& attributes) {
  switch (byteOf(attributes[IPSET_ATTR_FAMILY], NFPROTO_UNSPEC)) {
    case NFPROTO_IPV4:
      return Family::V4;
    case NFPROTO_IPV6:
      return Family::V6;
    default:
      return std::nullopt;
  }
}

std::optional<Address> addressOf(const nlattr* nested, Family family) {
  if (nested == nullptr) return std::nullopt;
  const int wanted = family == Family::V4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6;
  const nlattr* found =
      nla_find(static_cast<const nlattr*>(nla_data(nested)), nla_len(nested), wanted);
  const std::size_t size = addressBits(family) / 8;
  if (found == nullptr || nla_len(found) < static_cast<int>(size)) return std::nullopt;
  return Address::fromBytes({static_cast<const std::uint8_t*>(nla_data(found)), size});
}

std::optional<SetMember> memberOf(const nlattr* element, const SetShape& shape) {
  ElementAttributes attributes{};
  nla_parse(attributes.data(), IPSET_ATTR_ADT_MAX, static_cast<nlattr*>(nla_data(element)),
            nla_len(element), nullptr);
  const auto address = addressOf(attributes[IPSET_ATTR_IP], shape.family);
  if (!address) return std::nullopt;
  SetMember member;
  member.net.address = *address;
  member.net.length = byteOf(attributes[IPSET_ATTR_CIDR], addressBits(shape.family));
  if (shape.type == SetType::HashIpPort) {
    std::uint16_t portBe = 0;
    const nlattr* port = attributes[IPSET_ATTR_PORT];
    if (port != nullptr && nla_len(port) >= static_cast<int>(sizeof portBe)) {
      std::memcpy(&portBe, nla_data(port), sizeof portBe);
    }
    member.port = ntohs(portBe);
    member.protocol = byteOf(attributes[IPSET_ATTR_PROTO], 0);
  }
  if (shape.type == SetType::HashNetIface) {
    if ((numberOf(attributes[IPSET_ATTR_CADT_FLAGS]) & IPSET_FLAG_PHYSDEV) != 0)
      return std::nullopt;
    member.device = textOf(attributes[IPSET_ATTR_IFACE]);
  }
  return member;
}

}  // namespace

std::string_view listedName(const nlmsghdr& part) {
  return textOf(attributesOf(part)[IPSET_ATTR_SETNAME]);
}

std::optional<SetShape> listedShape(const nlmsghdr& part) {
  const auto attributes = attributesOf(part);
  const auto type = setTypeOf(textOf(attributes[IPSET_ATTR_TYPENAME]));
  const auto family = familyOf(attributes);
  if (!type || !family) return std::nullopt;
  return SetShape{.type = *type, .family = *family};
}

std::optional<SetHeader> listedHeader(const nlmsghdr& part) {
  const auto attributes = attributesOf(part);
  const nlattr* data = attributes[IPSET_ATTR_DATA];
  if (attributes[IPSET_ATTR_SETNAME] == nullptr || data == nullptr) return std::nullopt;
  CreateAttributes create{};
  nla_parse(create.data(), IPSET_ATTR_CREATE_MAX, static_cast<nlattr*>(nla_data(data)),
            nla_len(data), nullptr);
  SetHeader header;
  header.spec.name = textOf(attributes[IPSET_ATTR_SETNAME]);
  header.spec.maxElements = 0;
  header.entries = numberOf(create[IPSET_ATTR_ELEMENTS]);
  header.references = numberOf(create[IPSET_ATTR_REFERENCES]);
  if (const auto family = familyOf(attributes)) header.spec.family = *family;
  const auto shape = listedShape(part);
  if (!shape) return header;
  header.spec.type = shape->type;
  const bool forceAdd = (numberOf(create[IPSET_ATTR_CADT_FLAGS]) & IPSET_FLAG_WITH_FORCEADD) != 0;
  const bool narrowed =
      create[IPSET_ATTR_TIMEOUT] != nullptr || create[IPSET_ATTR_NETMASK] != nullptr;
  if (!forceAdd && !narrowed) header.spec.maxElements = numberOf(create[IPSET_ATTR_MAXELEM]);
  return header;
}

void listedMembers(const nlmsghdr& part, const SetShape& shape, std::vector<SetMember>& out) {
  nlattr* list = attributesOf(part)[IPSET_ATTR_ADT];
  if (list == nullptr) return;
  nlattr* element = nullptr;
  int left = 0;
  nla_for_each_nested(element, list, left) {
    if (nla_type(element) != IPSET_ATTR_DATA) continue;
    if (auto member = memberOf(element, shape)) out.push_back(std::move(*member));
  }
}

std::uint32_t failedLine(const nlmsghdr& error) {
  constexpr std::size_t kInner = sizeof(int) + NLMSG_HDRLEN + sizeof(nfgenmsg);
  const auto length = static_cast<std::size_t>(nlmsg_datalen(&error));
  if (length <= kInner) return 0;
  auto* first = reinterpret_cast<nlattr*>(static_cast<std::byte*>(nlmsg_data(&error)) + kInner);
  const nlattr* line = nla_find(first, static_cast<int>(length - kInner), IPSET_ATTR_LINENO);
  std::uint32_t value = 0;
  if (line != nullptr && nla_len(line) >= static_cast<int>(sizeof value)) {
    std::memcpy(&value, nla_data(line), sizeof value);
  }
  return value;
}

}  // namespace margay::dataplane
