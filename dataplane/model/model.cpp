#include <netinet/in.h>

#include <cstdio>

#include "dataplane/model/ipset.h"
#include "dataplane/model/network.h"

namespace margay::dataplane {
namespace {

std::string protocolName(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_UDPLITE:
      return "udplite";
    default:
      return std::to_string(protocol);
  }
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string numberText(std::uint32_t number) {
  char text[11];
  std::snprintf(text, sizeof text, "0x%08x", number);
  return text;
}

std::string formatMac(const MacAddress& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text;
}

std::optional<MacAddress> parseMac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  MacAddress mac{};
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const int high = hexDigit(text[3 * i]);
    const int low = hexDigit(text[3 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    if (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-') return std::nullopt;
    mac[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return mac;
}

std::string SetMember::str() const {
  std::string out = net.isHost() ? net.address.str() : net.str();
  if (protocol != 0) out += ',' + protocolName(protocol) + ':' + std::to_string(port);
  if (!device.empty()) out += ',' + device.str();
  if (!target.empty()) out += " -> " + target.str();
  return out;
}

}  // namespace margay::dataplane

std::size_t std::hash<margay::dataplane::SetMember>::operator()(
    const margay::dataplane::SetMember& member) const noexcept {
  const auto tail = (std::size_t{member.protocol} << 16) | member.port;
  return std::hash<margay::Prefix>{}(member.net) ^ (tail * 0x9e3779b97f4a7c15ULL) ^
         (member.device.empty() ? 0 : std::hash<margay::SharedString>{}(member.device)) ^
         (member.target.empty() ? 0 : std::hash<margay::SharedString>{}(member.target) << 1);
}
