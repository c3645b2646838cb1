#include "cmd/agent/explain.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

namespace margay::agent {
namespace {

using controllers::Objects;
using nlohmann::ordered_json;

Result<unsigned> number(const std::string& text, unsigned max, const std::string& option) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > max) {
    return fail(Errc::Invalid,
                option + ": '" + text + "' is not a number from 0 to " + std::to_string(max));
  }
  return value;
}

Result<std::uint8_t> protocolNumber(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static const std::map<std::string, std::uint8_t> kNames = {
      {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmpv6", 58}, {"sctp", 132}, {"udplite", 136}};
  if (const auto known = kNames.find(text); known != kNames.end()) return known->second;
  const auto value = number(text, 255, "--protocol");
  if (!value)
    return fail(
        Errc::Invalid,
        "--protocol: '" + text + "' is not tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255");
  return static_cast<std::uint8_t>(*value);
}

/// Addresses that an argument stands for: one, or all of the workload.
Result<std::vector<Address>> addressesOf(const Objects& objects, const std::string& text,
                                         const std::string& option) {
  if (const auto address = Address::parse(text)) return std::vector<Address>{*address};
  const auto slash = text.find('/');
  const auto ns = slash == std::string::npos ? std::string("default") : text.substr(0, slash);
  auto name = slash == std::string::npos ? text : text.substr(slash + 1);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::vector<Address> out;
  for (const auto& [key, value] : objects) {
    const auto* endpoint = std::get_if<Shared<api::WorkloadEndpoint>>(&value);
    if (endpoint == nullptr || (*endpoint)->ns != std::string_view(ns)) continue;
    if ((*endpoint)->workload() != name && (*endpoint)->name.view() != name) continue;
    for (const auto& prefix : (*endpoint)->addresses) out.push_back(prefix.address);
  }
  if (out.empty())
    return fail(Errc::NotFound, option + ": there is no workload " + ns + '/' + name +
                                    " with an address; give namespace/name or an address");
  return out;
}

/// A node is known by its object or by a workload on it.
Result<void> checkNode(const Objects& objects, const std::string& node) {
  if (node.empty() || objects.contains({api::Kind::Node, {}, node})) return {};
  const bool hasWorkload = std::any_of(objects.begin(), objects.end(), [&](const auto& entry) {
    const auto* endpoint = std::get_if<Shared<api::WorkloadEndpoint>>(&entry.second);
    return endpoint != nullptr && (*endpoint)->node == std::string_view(node);
  });
  if (hasWorkload) return {};
  return fail(Errc::NotFound, "--node: there is no Node " + node + " and no workload on it");
}

ordered_json stageJson(const controllers::Stage& stage) {
  ordered_json out = {{"name", stage.name}, {"endpoint", stage.endpoint},
                      {"tier", stage.tier}, {"policy", stage.policy},
                      {"rule", stage.rule}, {"action", stage.action}};
  if (!stage.ruleName.empty()) out["ruleName"] = stage.ruleName;
  return out;
}

Result<controllers::Packet> packetOf(const ExplainQuery& query) {
  controllers::Packet packet;
  const auto protocol = protocolNumber(query.protocol.empty() ? "tcp" : query.protocol);
  if (!protocol) return Fail(protocol.error());
  packet.protocol = *protocol;
  packet.icmpType = packet.protocol == 58 ? 128 : 8;
  for (auto [text, option, target] :
       {std::tuple{&query.port, "--port", &packet.destinationPort},
        std::tuple{&query.sourcePort, "--source-port", &packet.sourcePort}}) {
    if (text->empty()) continue;
    const auto value = number(*text, 65535, option);
    if (!value) return Fail(value.error());
    *target = static_cast<std::uint16_t>(*value);
  }
  if (query.icmpType.empty()) return packet;
  const auto slash = query.icmpType.find('/');
  const auto type = number(query.icmpType.substr(0, slash), 255, "--icmp-type");
  const auto code = slash == std::string::npos
                        ? Result<unsigned>(0U)
                        : number(query.icmpType.substr(slash + 1), 255, "--icmp-type");
  if (!type) return Fail(type.error());
  if (!code) return Fail(code.error());
  packet.icmpType = static_cast<std::uint8_t>(*type);
  packet.icmpCode = static_cast<std::uint8_t>(*code);
  return packet;
}

}  // namespace

Result<void> checkPacket(const ExplainQuery& query) {
  if (auto packet = packetOf(query); !packet) return Fail(packet.error());
  return {};
}

Result<ordered_json> explain(const Objects& objects, const ExplainQuery& query) {
  auto packet = packetOf(query);
  if (!packet) return Fail(packet.error());
  if (auto known = checkNode(objects, query.node); !known) return Fail(known.error());
  const auto from = addressesOf(objects, query.from, "--from");
  if (!from) return Fail(from.error());
  const auto to = addressesOf(objects, query.to, "--to");
  if (!to) return Fail(to.error());
  for (const auto& source : *from) {
    for (const auto& destination : *to) {
      if (source.family() != destination.family()) continue;
      packet->source = source;
      packet->destination = destination;
      const auto got = controllers::verdict(objects, *packet, query.node);
      ordered_json out = {{"verdict", got.allowed ? "Allow" : "Deny"},
                          {"from", source.str()},
                          {"to", destination.str()},
                          {"protocol", packet->protocol},
                          {"port", packet->destinationPort},
                          {"stages", ordered_json::array()}};
      if (!query.node.empty()) out["node"] = query.node;
      for (const auto& stage : got.stages) out["stages"].push_back(stageJson(stage));
      return out;
    }
  }
  return fail(Errc::Invalid, query.from + " and " + query.to + " have no addresses of one family");
}

}  // namespace margay::agent
