#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/json_reader.h"
#include "api/model/policy.h"
#include "base/address.h"

/// Fields that many Calico kinds have. Each reads one field, reports what is wrong with it, and
/// gives what is left; absent fields give an empty value and no error.
namespace margay::api {

/// Bounds of Calico's CRDs.
inline constexpr std::size_t kMaxSelectorLength = 1024;
inline constexpr std::size_t kMaxSelectorLabelLength = 512;
inline constexpr std::size_t kMaxRules = 1024;
inline constexpr std::size_t kMaxNets = 256;
inline constexpr std::size_t kMaxPorts = 50;

enum class GlobalSelector : std::uint8_t { Refused, Alone };
/// The canonical text. `global()` selects what is in no namespace and is only for namespaceSelector
/// of rules, where it must stand alone.
[[nodiscard]] std::string readSelector(const JsonReader& reader, std::string_view key,
                                       GlobalSelector global = GlobalSelector::Refused);
/// A selector in which global() has no special meaning (nodeSelector, notSelector).
[[nodiscard]] std::string readPlainSelector(const JsonReader& reader, std::string_view key);

/// TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite, or 1 to 255 as a number or its digits.
[[nodiscard]] std::optional<std::uint8_t> readProtocol(const JsonReader& reader,
                                                       std::string_view key);
/// IPPROTO_TCP, IPPROTO_UDP and IPPROTO_SCTP.
[[nodiscard]] bool hasPorts(std::uint8_t protocol);

/// Numbers, "first:last" ranges and names.
[[nodiscard]] std::vector<Port> readPorts(const JsonReader& reader, std::string_view key);

enum class NetForm : std::uint8_t {
  Cidr,           ///< ADDRESS/LENGTH without host bits
  CidrOrAddress,  ///< a bare address is a host; no host bits
  Loose,          ///< host bits are cleared
};
/// One text; `what` of the error comes after the text.
[[nodiscard]] std::optional<Prefix> parseNet(std::string_view text, NetForm form,
                                             std::string& problem);
/// In the order written.
[[nodiscard]] std::vector<Prefix> readNets(const JsonReader& reader, std::string_view key,
                                           NetForm form);
[[nodiscard]] std::optional<Address> readAddress(const JsonReader& reader, std::string_view key,
                                                 std::optional<Family> family = std::nullopt);

/// A DNS subdomain; empty when absent.
[[nodiscard]] std::string readName(const JsonReader& reader, std::string_view key);
/// `fallback` when absent or when it is none of `choices`.
[[nodiscard]] std::string readChoice(const JsonReader& reader, std::string_view key,
                                     std::initializer_list<std::string_view> choices,
                                     std::string_view fallback);
/// Names of profiles, in order.
[[nodiscard]] std::vector<std::string> readProfileNames(const JsonReader& reader,
                                                        std::string_view key);

/// "a, b or c"
[[nodiscard]] std::string orList(std::initializer_list<std::string_view> choices);

}  // namespace margay::api
