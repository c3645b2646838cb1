#include "dataplane/nft_elements.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <string>

namespace margay::dataplane {
namespace {

// Numbers by which nft knows how to show keys (nftables' enum datatypes).
constexpr std::uint32_t kIpv4 = 7;
constexpr std::uint32_t kIpv6 = 8;
constexpr std::uint32_t kProtocol = 12;
constexpr std::uint32_t kService = 13;
constexpr std::uint32_t kMark = 19;
constexpr std::uint32_t kInterface = 41;
constexpr std::uint32_t kTypeBits = 6;

constexpr std::uint32_t with(std::uint32_t type, std::uint32_t next) {
  return type << kTypeBits | next;
}

using Key = std::array<std::uint8_t, 32>;  // the longest is 16 + 16

struct Built {
  Key bytes{};
  std::size_t size = 0;
  void put(std::span<const std::uint8_t> part, std::size_t room) {
    std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    size += room;
  }
};

std::span<const std::uint8_t> bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Built keyOf(const SetSpec& spec, const SetMember& member) {
  Built key;
  const auto address = member.net.address.bytes();
  switch (spec.type) {
    case SetType::HashNet:
    case SetType::HashAddress:
      key.put(address, address.size());
      break;
    case SetType::HashIpPort: {
      key.put(address, address.size());
      key.put({&member.protocol, 1}, 4);
      const std::uint8_t port[] = {static_cast<std::uint8_t>(member.port >> 8),
                                   static_cast<std::uint8_t>(member.port & 0xff)};
      key.put(port, 4);
      break;
    }
    case SetType::HashNetIface:
    case SetType::NumberMap:
      key.put(bytesOf(member.device), IFNAMSIZ);
      key.put(address, address.size());
      break;
  }
  return key;
}

void putData(NetlinkBatch& out, std::uint16_t type, std::span<const std::uint8_t> value) {
  const auto nest = out.beginNested(type);
  out.attribute(NFTA_DATA_VALUE, value);
  out.endNested(nest);
}

/// The address behind the last one of the net; none if that was the last of all.
std::optional<Address> behind(const Prefix& net) {
  std::array<std::uint8_t, 16> bytes{};
  const auto from = net.address.bytes();
  std::copy(from.begin(), from.end(), bytes.begin());
  for (std::size_t bit = net.length; bit < from.size() * 8; ++bit)
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (0x80 >> bit % 8));
  for (std::size_t i = from.size(); i-- > 0;) {
    if (++bytes[i] != 0) return Address::fromBytes(std::span(bytes).first(from.size()));
  }
  return std::nullopt;
}

/// The net whose addresses are those from `first` to the one before `end`, if there is one.
std::optional<Prefix> netOf(const Address& first, const std::optional<Address>& end) {
  Prefix net{first, static_cast<std::uint8_t>(first.bytes().size() * 8)};
  for (;; --net.length) {
    if (net.masked() != net) return std::nullopt;
    if (behind(net) == end) return net;
    if (net.length == 0) return std::nullopt;
  }
}

constexpr char kForeign = '-';

std::optional<Address> endOf(const SetMember& member) {
  if (member.target.empty()) return behind(member.net);
  return Address::parse(member.target.view().substr(1));  // "-": up to the last address of all
}

std::span<const std::uint8_t> payloadOf(const nlattr* data) {
  const nlattr* value = data == nullptr ? nullptr
                                        : nla_find(static_cast<const nlattr*>(nla_data(data)),
                                                   nla_len(data), NFTA_DATA_VALUE);
  if (value == nullptr) return {};
  return {static_cast<const std::uint8_t*>(nla_data(value)),
          static_cast<std::size_t>(nla_len(value))};
}

std::string textOf(std::span<const std::uint8_t> bytes) {
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return {text, strnlen(text, bytes.size())};
}

/// "0x0000002a"
std::optional<std::uint32_t> numberOf(std::string_view text) {
  std::uint32_t out = 0;
  if (!text.starts_with("0x")) return std::nullopt;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + 2, end, out, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return out;
}

std::string numberIn(const nlattr* data) {
  const auto bytes = payloadOf(data);
  std::uint32_t number = 0;
  if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
  return numberText(ntohl(number));
}

}  // namespace

NftSetLayout nftLayout(SetType type, Family family) {
  const bool v4 = family == Family::V4;
  const std::uint32_t address = v4 ? kIpv4 : kIpv6;
  const std::uint32_t length = v4 ? 4 : 16;
  switch (type) {
    case SetType::HashNet:
      return {NFT_SET_INTERVAL, address, length, 0, 0};
    case SetType::HashAddress:
      return {0, address, length, 0, 0};
    case SetType::HashIpPort:
      return {0, with(with(address, kProtocol), kService), length + 8, 0, 0};
    case SetType::HashNetIface:
      return {0, with(kInterface, address), IFNAMSIZ + length, 0, 0};
    case SetType::NumberMap:
      return {NFT_SET_MAP, with(kInterface, address), IFNAMSIZ + length, kMark,
              sizeof(std::uint32_t)};
  }
  return {};
}

const char* nftMemberProblem(const SetSpec& spec, const SetMember& member) {
  if (member.net.family() != spec.family) return "the set is of the other IP family";
  if (spec.type == SetType::HashNet) return nullptr;
  if (!member.net.isHost()) return "the set holds single addresses only";
  if (spec.type == SetType::HashIpPort || spec.type == SetType::HashAddress) return nullptr;
  if (member.device.empty() || member.device.view().size() >= IFNAMSIZ)
    return "an interface's name has 1 to 15 bytes";
  if (spec.type == SetType::NumberMap && !numberOf(member.target.view()))
    return "what a map gives is a number";
  return nullptr;
}

void putNftElement(NetlinkBatch& out, const SetSpec& spec, const SetMember& member,
                   NftElementForm form) {
  const Built key = keyOf(spec, member);
  auto element = out.beginNested(NFTA_LIST_ELEM);
  putData(out, NFTA_SET_ELEM_KEY, std::span(key.bytes).first(key.size));
  if (spec.type == SetType::NumberMap && form == NftElementForm::Whole) {
    // nft shows the bytes in this order.
    const std::uint32_t number = htonl(numberOf(member.target.view()).value_or(0));
    putData(out, NFTA_SET_ELEM_DATA,
            {reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
  }
  out.endNested(element);
  if (spec.type != SetType::HashNet) return;
  const auto end = endOf(member);
  if (!end) return;
  element = out.beginNested(NFTA_LIST_ELEM);
  out.attribute(NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
  putData(out, NFTA_SET_ELEM_KEY, end->bytes());
  out.endNested(element);
}

void NftElementReader::take(const nlattr& element) {
  const auto* all = static_cast<const nlattr*>(nla_data(&element));
  const auto key = payloadOf(nla_find(all, nla_len(&element), NFTA_SET_ELEM_KEY));
  if (key.size() != nftLayout(spec_.type, spec_.family).keyLength) return;
  const std::size_t length = spec_.family == Family::V4 ? 4 : 16;
  if (spec_.type == SetType::HashNet) {
    const nlattr* flags = nla_find(all, nla_len(&element), NFTA_SET_ELEM_FLAGS);
    const bool isEnd =
        flags != nullptr && (ntohl(nla_get_u32(flags)) & NFT_SET_ELEM_INTERVAL_END) != 0;
    edges_.push_back({Address::fromBytes(key), isEnd});
    return;
  }
  SetMember member;
  if (spec_.type == SetType::HashIpPort) {
    member.net = Prefix::host(Address::fromBytes(key.first(length)));
    member.protocol = key[length];
    member.port = static_cast<std::uint16_t>(key[length + 4] << 8 | key[length + 5]);
  } else if (spec_.type == SetType::HashAddress) {
    member.net = Prefix::host(Address::fromBytes(key));
  } else {
    member.device = textOf(key.first(IFNAMSIZ));
    member.net = Prefix::host(Address::fromBytes(key.subspan(IFNAMSIZ, length)));
    if (spec_.type == SetType::NumberMap)
      member.target = numberIn(nla_find(all, nla_len(&element), NFTA_SET_ELEM_DATA));
  }
  members_.push_back(std::move(member));
}

std::vector<SetMember> NftElementReader::finish() {
  // Where one interval ends and the next begins, the end comes first.
  std::sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.at, !a.isEnd) < std::pair(b.at, !b.isEnd);
  });
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    if (edges_[i].isEnd) continue;
    std::optional<Address> end;
    if (i + 1 < edges_.size()) end = edges_[i + 1].at;
    SetMember member;
    if (const auto net = netOf(edges_[i].at, end)) {
      member.net = *net;
    } else {
      member.net = Prefix::host(edges_[i].at);
      member.target = kForeign + (end ? end->str() : std::string());
    }
    members_.push_back(std::move(member));
  }
  return std::move(members_);
}

}  // namespace margay::dataplane
