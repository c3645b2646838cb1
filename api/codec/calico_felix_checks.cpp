#include "api/codec/calico_felix_checks.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "api/codec/calico_fields.h"
#include "api/codec/validate_names.h"

namespace margay::api {
namespace {

struct NumberField {
  std::string_view key;
  std::int64_t min;
  std::int64_t max;
};
constexpr NumberField kNumberFields[] = {
    {"bpfExtToServiceConnmark", 0, 0xffffffff}, {"debugPort", 0, 65535},
    {"wireguardListeningPort", 1, 65535},       {"wireguardListeningPortV6", 1, 65535},
    {"wireguardRoutingRulePriority", 1, 32765}, {"goGCThreshold", -1, 0x7fffffff},
    {"goMemoryLimitMB", -1, 0x7fffffff},        {"goMaxProcs", -1, 0x7fffffff},
    {"iptablesMarkMask", 0, 0xffffffff},        {"nftablesMarkMask", 0, 0xffffffff},
    {"prometheusMetricsPort", 0, 65535},        {"healthPort", 0, 65535}};

constexpr std::string_view kPatternFields[] = {"bpfDataIfacePattern", "bpfL3IfacePattern",
                                               "bpfDisableGROForIfaces", "mtuIfacePattern",
                                               "logDebugFilenameRegex"};

bool consistsOf(std::string_view text, std::string_view extra, std::size_t limit) {
  return !text.empty() && text.size() <= limit &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  extra.find(c) != std::string_view::npos;
         });
}

void checkChoices(const JsonReader& spec) {
  using Texts = std::initializer_list<std::string_view>;
  const auto require = [&](Texts keys, Texts choices) {
    for (const std::string_view key : keys) static_cast<void>(readChoice(spec, key, choices, ""));
  };
  require({"iptablesBackend"}, {"Legacy", "NFT", "Auto"});
  require({"nftablesMode"}, {"Enabled", "Disabled", "Auto"});
  require({"defaultEndpointToHostAction"}, {"Drop", "Accept", "Return"});
  require({"iptablesFilterAllowAction", "iptablesMangleAllowAction", "nftablesFilterAllowAction",
           "nftablesMangleAllowAction"},
          {"Accept", "Return"});
  require({"iptablesFilterDenyAction", "nftablesFilterDenyAction"}, {"Drop", "Reject"});
  require({"logSeverityFile", "logSeverityScreen", "logSeveritySys"},
          {"Trace", "Debug", "Info", "Warning", "Error", "Fatal"});
  require({"serviceLoopPrevention"}, {"Drop", "Reject", "Disabled"});
  require({"workloadSourceSpoofing"}, {"Disabled", "Any"});
  require({"ipForwarding", "floatingIPs", "windowsManageFirewallRules",
           "bpfHostNetworkedNATWithoutCTLB"},
          {"Enabled", "Disabled"});
  require({"bpfLogLevel"}, {"Debug", "Info", "Off"});
  require({"bpfExternalServiceMode"}, {"Tunnel", "DSR"});
  require({"bpfConnectTimeLoadBalancing"}, {"TCP", "Enabled", "Disabled"});
  require({"awsSrcDstCheck"}, {"DoNothing", "Enable", "Disable"});
}

/// Whether the text can be a regular expression: groups closed, nothing repeated that is not there.
bool isPattern(std::string_view text) {
  std::size_t open = 0;
  bool inClass = false;
  bool repeatable = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      if (++i == text.size()) return false;
    } else if (inClass) {
      inClass = c != ']';
    } else if (c == '[') {
      inClass = true;
    } else if (c == ')') {
      if (open-- == 0) return false;
    } else if ((c == '*' || c == '+') && !repeatable) {
      return false;
    } else if (c == '(') {
      ++open;
    }
    repeatable = c != '(' && c != '|';
  }
  return open == 0 && !inClass;
}

void checkTexts(const JsonReader& spec) {
  const auto require = [&](std::string_view key, std::string_view extra, std::size_t limit,
                           std::string_view help) {
    const std::string text = spec.stringOr(key, "");
    if (!text.empty() && !consistsOf(text, extra, limit))
      spec.error(key, "'" + text + "' " + std::string(help));
  };
  require("prometheusMetricsHost", ":._+-", 64, "is no host; write a name or an address");
  require("iptablesNATOutgoingInterfaceFilter", ":._+-", 15,
          "is no interface; write a name, or a prefix and +");
  for (const std::string_view key : {"wireguardInterfaceName", "wireguardInterfaceNameV6"}) {
    require(key, "_.-", 15, "is no interface name; use 1 to 15 letters, digits, '_', '.' and '-'");
  }
  for (const std::string_view key : kPatternFields) {
    const std::string text = spec.stringOr(key, "");
    if (!isPattern(text)) spec.error(key, "'" + text + "' is no regular expression");
  }
  constexpr std::size_t kMaxRegion = 63 - std::string_view("openstack-region-").size();
  const std::string region = spec.stringOr("openstackRegion", "");
  if (!region.empty() && (region.size() > kMaxRegion || !isDnsLabel(region))) {
    spec.error("openstackRegion", "must be a valid DNS label of at most 46 characters");
  }
}

void checkAddresses(const JsonReader& spec) {
  static_cast<void>(readAddress(spec, "natOutgoingAddress", Family::V4));
  static_cast<void>(readAddress(spec, "deviceRouteSourceAddress", Family::V4));
  static_cast<void>(readAddress(spec, "deviceRouteSourceAddressIPv6", Family::V6));
  const auto external = readNets(spec, "externalNodesList", NetForm::Loose);
  if (std::any_of(external.begin(), external.end(),
                  [](const Prefix& net) { return net.family() == Family::V6; })) {
    spec.error("externalNodesList", "has an IPv6 CIDR; only IPv4 is possible");
  }
}

void checkPortLists(const JsonReader& spec) {
  constexpr std::size_t kMaxNodePortRanges = 7;
  const auto nodePorts = readPorts(spec, "kubeNodePortRanges");
  if (nodePorts.size() > kMaxNodePortRanges) {
    spec.error("kubeNodePortRanges", "node port ranges list is too long; at most 7 are allowed");
  }
  if (std::any_of(nodePorts.begin(), nodePorts.end(),
                  [](const Port& port) { return !port.name.empty(); })) {
    spec.error("kubeNodePortRanges",
               "node port ranges should not contain named ports; use numbers");
  }
  for (const std::string_view key : {"failsafeInboundHostPorts", "failsafeOutboundHostPorts"}) {
    for (const JsonReader& entry : spec.objects(key)) {
      entry.onlyFields({"protocol", "port", "net"});
      static_cast<void>(readChoice(entry, "protocol", {"TCP", "UDP", "SCTP"}, ""));
      static_cast<void>(entry.integer("port", 0, 65535));
      const std::string net = entry.stringOr("net", "");
      std::string problem;
      if (!net.empty() && !parseNet(net, NetForm::Loose, problem))
        entry.error("net", std::move(problem));
    }
  }
}

struct TableRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
};
/// The reader's `min` and `max`, of which the first must not be above the second.
std::optional<TableRange> readTableRange(const JsonReader& reader, std::int64_t limit) {
  const auto min = reader.integer("min", 1, limit);
  const auto max = reader.integer("max", 1, limit);
  if (!reader.has("min") || !reader.has("max")) reader.error("needs both min and max");
  if (!min || !max) return std::nullopt;
  if (*min > *max) reader.error("min", "min value cannot be greater than max value");
  return TableRange{*min, *max};
}

void checkTableRanges(const JsonReader& spec) {
  constexpr std::int64_t kMaxTables = 0xffff;
  if (const auto range = spec.object("routeTableRange"))
    static_cast<void>(readTableRange(*range, 250));
  std::int64_t tables = 0;
  for (const JsonReader& entry : spec.objects("routeTableRanges")) {
    if (const auto range = readTableRange(entry, 0xffffffff)) tables += range->max - range->min + 1;
  }
  if (tables > kMaxTables)
    spec.error("routeTableRanges", "targets too many tables; at most 65535 are possible");
  if (spec.has("routeTableRange") && spec.has("routeTableRanges")) {
    spec.error("routeTableRange",
               "routeTableRange and routeTableRanges cannot both be set; keep the second");
  }
}

void checkHealthTimeouts(const JsonReader& spec) {
  for (const JsonReader& entry : spec.objects("healthTimeoutOverrides")) {
    entry.onlyFields({"name", "timeout"});
    if (!consistsOf(entry.stringOr("name", ""), "_ -", 253)) {
      entry.error("name", "needs letters, digits, '_', '-' or blanks");
    }
    if (entry.stringOr("timeout", "").starts_with('-'))
      entry.error("timeout", "Timeout should not be negative");
  }
}

}  // namespace

void checkFelixConfiguration(const JsonReader& spec) {
  checkChoices(spec);
  for (const NumberField& field : kNumberFields)
    static_cast<void>(spec.integer(field.key, field.min, field.max));
  checkTexts(spec);
  checkAddresses(spec);
  checkPortLists(spec);
  checkTableRanges(spec);
  checkHealthTimeouts(spec);
}

}  // namespace margay::api
