#include "cmd/agent/node_options.h"

#include <charconv>

namespace margay::agent {
namespace {

using controllers::NodeOptions;

std::optional<dataplane::PortRange> portRange(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  dataplane::PortRange out;
  std::from_chars(text.data(), text.data() + colon, out.first);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.last);
  return out;
}

controllers::HostAction hostAction(const std::string& text) {
  if (text == "ACCEPT") return controllers::HostAction::Accept;
  return text == "RETURN" ? controllers::HostAction::Return : controllers::HostAction::Drop;
}

controllers::Encapsulation encapsulation(bool allowed) {
  return allowed ? controllers::Encapsulation::Allow : controllers::Encapsulation::Drop;
}

/// The parameter that rules follow: "MarkMask" is IptablesMarkMask or NftablesMarkMask.
std::string ruleParameter(const api::Parameters& parameters, Backend backend,
                          const std::string& name) {
  auto iptables = "Iptables" + name;
  auto nftables = "Nftables" + name;
  if (backend == Backend::Legacy) return iptables;
  const bool counts = parameters.text("NFTablesMode") == "Enabled" ||
                      parameters.all().find(nftables)->second.origin != "default";
  if (counts) return nftables;
  return iptables;
}

/// What the rule parameters say.
Result<void> takeRuleParameters(const api::Parameters& parameters, Backend backend,
                                controllers::StaticOptions& out) {
  const auto maskName = ruleParameter(parameters, backend, "MarkMask");
  const auto marks = controllers::allocateMarks(parameters.mask(maskName));
  if (!marks) {
    return Fail(withContext(marks.error(), maskName.starts_with("Nft") ? "FELIX_NFTABLESMARKMASK"
                                                                       : "FELIX_IPTABLESMARKMASK"));
  }
  out.rules.marks = *marks;
  const auto is = [&](const char* name, const char* value) {
    return parameters.text(ruleParameter(parameters, backend, name)) == value;
  };
  out.rules.deny = is("FilterDenyAction", "REJECT") ? controllers::DenyAction::Reject
                                                    : controllers::DenyAction::Drop;
  out.allow = is("FilterAllowAction", "RETURN") ? controllers::AllowAction::Return
                                                : controllers::AllowAction::Accept;
  return {};
}

}  // namespace

Result<NodeOptions> nodeOptionsOf(const api::Parameters& parameters, const NodeFacts& facts) {
  NodeOptions out;
  const bool six = parameters.flag("Ipv6Support") && facts.ipv6;
  if (!six) out.families = {Family::V4};

  auto& statics = out.statics;
  if (auto taken = takeRuleParameters(parameters, facts.backend, statics); !taken)
    return Fail(taken.error());
  statics.dispatch = dispatchOf(facts.backend);
  statics.rules.logPrefix = parameters.text("LogPrefix");
  statics.rules.logRateLimit = controllers::parseRateLimit(
      parameters.text("LogActionRateLimit"),
      static_cast<std::uint32_t>(parameters.integer("LogActionRateLimitBurst")));
  if (auto prefixes = parameters.list("InterfacePrefix"); !prefixes.empty())
    statics.interfacePrefixes = std::move(prefixes);
  statics.endpointToHost = hostAction(parameters.text("DefaultEndpointToHostAction"));
  statics.invalid = parameters.flag("DisableConntrackInvalidCheck")
                        ? controllers::InvalidPackets::Ignore
                        : controllers::InvalidPackets::Drop;
  statics.ipip = encapsulation(parameters.flag("AllowIPIPPacketsFromWorkloads"));
  statics.vxlan = encapsulation(parameters.flag("AllowVXLANPacketsFromWorkloads"));
  if (const auto port = static_cast<std::uint16_t>(parameters.integer("VXLANPort"));
      port != 4789 && port != 8472)
    statics.vxlanPorts.push_back(port);
  statics.insert = parameters.text("ChainInsertMode") == "append" ? dataplane::Position::Last
                                                                  : dataplane::Position::First;

  out.endpoints.metricV4 =
      static_cast<std::uint32_t>(parameters.integer("IPv4NormalRoutePriority"));
  out.endpoints.metricV6 =
      static_cast<std::uint32_t>(parameters.integer("IPv6NormalRoutePriority"));
  out.endpoints.sourceV4 = Address::parse(parameters.text("DeviceRouteSourceAddress"));
  out.endpoints.sourceV6 = Address::parse(parameters.text("DeviceRouteSourceAddressIPv6"));
  out.endpoints.defaultRpFilter = facts.defaultRpFilter;
  out.endpoints.ipv6 = six;

  out.nat.address = Address::parse(parameters.text("NATOutgoingAddress"));
  out.nat.ports = portRange(parameters.text("NATPortRange"));
  out.nat.exclusions = parameters.text("NATOutgoingExclusions") == "IPPoolsAndHostIPs"
                           ? controllers::NatExclusions::PoolsAndHosts
                           : controllers::NatExclusions::Pools;
  out.nat.outInterface = parameters.text("IptablesNATOutgoingInterfaceFilter");

  out.maxSetElements = static_cast<std::uint32_t>(parameters.integer("MaxIpsetSize"));
  out.forwarding = parameters.text("IPForwarding") == "Enabled";
  out.routeWorkloads = !parameters.flag("RouteSyncDisabled");
  out.nodeRouting = out.routeWorkloads && facts.networkingBackend != "none";
  return out;
}

}  // namespace margay::agent
