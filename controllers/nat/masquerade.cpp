#include "controllers/nat/masquerade.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <utility>

namespace margay::controllers {
namespace {

using dataplane::End;
using dataplane::Match;
using dataplane::Rule;
using dataplane::Sense;

constexpr const char* kNatChain = "mgy-nat-outgoing";

dataplane::SetSpec specOf(Family family, const char* name) {
  return {(family == Family::V4 ? "mgy4-" : "mgy6-") + std::string(name),
          dataplane::SetType::HashNet, family};
}

/// hash:net has no /0, so its two halves stand for it.
void addNet(NatSet& set, const Prefix& raw) {
  const Prefix net = raw.masked();
  if (net.family() != set.spec.family) return;
  dataplane::SetMember member;
  member.net = net;
  if (net.length > 0) {
    set.members.insert(member);
    return;
  }
  member.net.length = 1;
  set.members.insert(member);
  std::array<std::uint8_t, 16> upper{0x80};
  member.net.address = Address::fromBytes(std::span(upper).first(net.address.bytes().size()));
  set.members.insert(member);
}

dataplane::Action translate(Family family, const NatOptions& options,
                            std::optional<dataplane::PortRange> ports) {
  if (options.address && options.address->family() == family)
    return dataplane::SourceNat{*options.address, ports};
  return dataplane::Masquerade{ports};
}

Match inSet(const NatSet& set, End end, Sense sense) {
  return dataplane::SetMatch{set.spec.name, {end}, sense, dataplane::SetType::HashNet};
}

dataplane::InterfaceMatch outInterface(const std::string& filter) {
  using dataplane::NameMatch;
  if (filter.ends_with('+'))
    return {dataplane::Side::Out, filter.substr(0, filter.size() - 1), NameMatch::Prefix};
  return {dataplane::Side::Out, filter, NameMatch::Exact};
}

}  // namespace

NatTables natTables(Family family, std::span<const api::IPPool> pools,
                    std::span<const api::Node> nodes, const NatOptions& options) {
  NatSet all{specOf(family, "pools"), {}};
  NatSet masquerade{specOf(family, "masq"), {}};
  NatSet hosts{specOf(family, "hosts"), {}};
  for (const api::IPPool& pool : pools) {
    addNet(all, pool.cidr);
    if (pool.natOutgoing) addNet(masquerade, pool.cidr);
  }
  const bool exceptHosts = options.exclusions == NatExclusions::PoolsAndHosts;
  for (const api::Node& node : nodes) {
    if (const auto address = node.address(family)) addNet(hosts, Prefix::host(*address));
    for (const Address& address : node.internalAddresses) addNet(hosts, Prefix::host(address));
  }

  NatTables out;
  if (!masquerade.members.empty()) {
    std::vector<Rule> rules;
    if (options.ports) {
      for (const std::uint8_t protocol :
           std::initializer_list<std::uint8_t>{IPPROTO_TCP, IPPROTO_UDP}) {
        rules.push_back({{dataplane::ProtocolMatch{protocol, Sense::Is}},
                         translate(family, options, options.ports),
                         {}});
      }
    }
    rules.push_back({{}, translate(family, options, std::nullopt), {}});
    out.table.chains[kNatChain] = std::make_shared<const std::vector<Rule>>(std::move(rules));

    std::vector<Match> matches{inSet(masquerade, End::Source, Sense::Is),
                               inSet(all, End::Destination, Sense::IsNot)};
    if (exceptHosts) matches.push_back(inSet(hosts, End::Destination, Sense::IsNot));
    if (!options.outInterface.empty())
      matches.insert(matches.begin(), outInterface(options.outInterface));
    out.table.hooks.push_back(
        {dataplane::BaseChain::Postrouting,
         dataplane::Position::Last,
         {std::move(matches), dataplane::Jump{kNatChain},
          "margay: workloads leave the cluster with the address of the host"}});
    if (exceptHosts) out.sets.push_back(std::move(hosts));
    out.sets.push_back(std::move(masquerade));
    out.sets.push_back(std::move(all));
  }
  return out;
}

}  // namespace margay::controllers
