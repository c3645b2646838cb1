#include "controllers/policy/static_chains.h"

#include <netinet/in.h>

#include <initializer_list>
#include <utility>

namespace margay::controllers {
namespace {

using dataplane::Action;
using dataplane::BaseChain;
using dataplane::End;
using dataplane::GoTo;
using dataplane::HookRule;
using dataplane::Jump;
using dataplane::Match;
using dataplane::NameMatch;
using dataplane::Position;
using dataplane::Rule;
using dataplane::Sense;
using dataplane::Side;

constexpr const char* kAntiSpoofChain = "mgy-antispoof";
constexpr const char* kFromWorkloadChain = "mgy-from-workload";
constexpr const char* kToWorkloadChain = "mgy-to-workload";
constexpr const char* kToHostChain = "mgy-workload-to-host";

dataplane::ChainRules share(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

Match net(End end, const char* text) {
  return dataplane::NetMatch{end, *Prefix::parseNetwork(text), Sense::Is};
}
Match protocol(std::uint8_t number) {
  return dataplane::ProtocolMatch{number, Sense::Is};
}
Match workload(Side side, const std::string& prefix) {
  return dataplane::InterfaceMatch{side, prefix, NameMatch::Prefix, Sense::Is};
}
Match accepted(const StaticOptions& options, Sense sense) {
  const std::uint32_t bit = options.rules.marks.accept;
  return dataplane::MarkMatch{sense == Sense::Is ? bit : 0, bit, Sense::Is};
}
Match established() {
  dataplane::ConntrackMatch match;
  match.established = match.related = true;
  return match;
}
Match invalid() {
  dataplane::ConntrackMatch match;
  match.invalid = true;
  return match;
}

Action finalAllow(const StaticOptions& options) {
  if (options.allow == AllowAction::Return) return dataplane::Return{};
  return dataplane::Accept{};
}

/// What both ends begin with. Established flows are accepted here and skip the other end, which has
/// judged them when they were new.
std::vector<Rule> connectionRules(const StaticOptions& options) {
  const std::uint32_t ours = options.rules.marks.accept | options.rules.marks.pass;
  std::vector<Rule> rules;
  if (options.allow == AllowAction::Return) {
    rules.push_back({{established()}, GoTo{std::string(kAcceptChain)}, {}});
  } else {
    rules.push_back({{established()}, dataplane::Accept{}, {}});
  }
  if (options.invalid == InvalidPackets::Drop)
    rules.push_back({{invalid()}, denyAction(options.rules.deny), {}});
  // With maps the dispatch chain does that.
  if (options.dispatch == Dispatch::Sets) rules.push_back({{}, dataplane::SetMark{0, ours}, {}});
  return rules;
}

std::vector<Rule> encapsulationRules(const StaticOptions& options) {
  std::vector<Rule> rules;
  const Action deny = denyAction(options.rules.deny);
  if (options.vxlan == Encapsulation::Drop && !options.vxlanPorts.empty()) {
    dataplane::PortsMatch ports;
    for (const std::uint16_t port : options.vxlanPorts) ports.ports.push_back({port, port});
    rules.push_back({{protocol(IPPROTO_UDP), ports}, deny, "VXLAN from a workload"});
  }
  if (options.ipip == Encapsulation::Drop)
    rules.push_back({{protocol(IPPROTO_IPIP)}, deny, "IP in IP from a workload"});
  return rules;
}

/// Dispatch returns with the accept mark, or with no verdict: fail closed.
void addDispatch(std::vector<Rule>& rules, std::string_view chain, const StaticOptions& options) {
  rules.push_back({{}, Jump{std::string(chain)}, {}});
  rules.push_back({{accepted(options, Sense::IsNot)},
                   denyAction(options.rules.deny),
                   "no policy or profile accepted it"});
}

dataplane::ChainRules fromWorkload(const StaticOptions& options) {
  std::vector<Rule> rules = connectionRules(options);
  for (Rule& rule : encapsulationRules(options)) rules.push_back(std::move(rule));
  addDispatch(rules, kFromDispatchChain, options);
  return share(std::move(rules));
}

dataplane::ChainRules toWorkload(const StaticOptions& options) {
  std::vector<Rule> rules = connectionRules(options);
  addDispatch(rules, kToDispatchChain, options);
  return share(std::move(rules));
}

dataplane::ChainRules toHost(Family family, const StaticOptions& options) {
  std::vector<Rule> rules;
  if (family == Family::V6) {
    // Multicast listeners, router solicitation and neighbour discovery: a router that does not hear
    // them cuts its workloads off, so no policy can forbid them.
    for (const std::uint8_t type :
         std::initializer_list<std::uint8_t>{130, 131, 132, 133, 135, 136}) {
      rules.push_back(
          {{protocol(IPPROTO_ICMPV6), dataplane::IcmpMatch{type, std::nullopt, Sense::Is}},
           options.dispatch == Dispatch::Maps ? GoTo{std::string(kAcceptChain)}
                                              : finalAllow(options),
           {}});
    }
  }
  // With AllowAction::Return the workload chain hands established packets back, but the action
  // below is for new ones only.
  if (options.allow == AllowAction::Return)
    rules.push_back({{established()}, dataplane::Return{}, {}});
  rules.push_back({{}, Jump{kFromWorkloadChain}, {}});
  Action last = dataplane::Return{};
  if (options.endpointToHost == HostAction::Accept) last = dataplane::Accept{};
  if (options.endpointToHost == HostAction::Drop) last = denyAction(options.rules.deny);
  rules.push_back({{}, last, "DefaultEndpointToHostAction"});
  return share(std::move(rules));
}

HookRule hook(BaseChain chain, Position position, std::vector<Match> matches, Action action,
              const std::string& what) {
  return {chain, position, {std::move(matches), std::move(action), "margay: " + what}};
}

}  // namespace

dataplane::RuleTable rawTable(Family family, const StaticOptions& options,
                              std::span<const SharedSource> shared) {
  std::vector<Rule> rules;
  if (family == Family::V4) {
    // Workload interfaces have route_localnet, so the host's own loopback services would be in
    // reach.
    rules.push_back({{net(End::Destination, "127.0.0.0/8")}, dataplane::Drop{}, {}});
  } else {
    rules.push_back(
        {{net(End::Source, "fe80::/10"), protocol(IPPROTO_ICMPV6)}, dataplane::Return{}, {}});
    rules.push_back(
        {{net(End::Source, "::/128"), protocol(IPPROTO_ICMPV6)}, dataplane::Return{}, {}});
  }
  rules.push_back({{dataplane::SetMatch{localSet(family).name,
                                        {End::Source, End::Source},
                                        Sense::Is,
                                        dataplane::SetType::HashNetIface}},
                   dataplane::Return{},
                   {}});
  for (const SharedSource& source : shared) {
    if (source.prefix.family() != family) continue;
    Rule rule{{dataplane::InterfaceMatch{Side::In, source.device}}, dataplane::Return{}, {}};
    if (source.prefix.length > 0)
      rule.matches.emplace_back(dataplane::NetMatch{End::Source, source.prefix, Sense::Is});
    rules.push_back(std::move(rule));
  }
  rules.push_back({{}, dataplane::Drop{}, "not an address of the workload"});

  dataplane::RuleTable table;
  table.chains[kAntiSpoofChain] = share(std::move(rules));
  for (const std::string& prefix : options.interfacePrefixes) {
    table.hooks.push_back(hook(BaseChain::Prerouting, options.insert, {workload(Side::In, prefix)},
                               Jump{kAntiSpoofChain}, "check the source of workload packets"));
  }
  return table;
}

dataplane::RuleTable filterTable(Family family, const StaticOptions& options) {
  dataplane::RuleTable table;
  table.chains = verdictChains(options.rules.marks);
  table.chains[kFromWorkloadChain] = fromWorkload(options);
  table.chains[kToWorkloadChain] = toWorkload(options);
  table.chains[kToHostChain] = toHost(family, options);

  const auto eachPrefix = [&](BaseChain chain, Position position, Side side,
                              std::vector<Match> more, const Action& action,
                              const std::string& what) {
    for (const std::string& prefix : options.interfacePrefixes) {
      std::vector<Match> matches{workload(side, prefix)};
      matches.insert(matches.end(), more.begin(), more.end());
      table.hooks.push_back(hook(chain, position, std::move(matches), action, what));
    }
  };
  eachPrefix(BaseChain::Input, options.insert, Side::In, {}, Jump{kToHostChain},
             "policy of packets from workloads to the host");
  eachPrefix(BaseChain::Forward, options.insert, Side::In, {}, Jump{kFromWorkloadChain},
             "policy of the sending workload");
  eachPrefix(BaseChain::Forward, options.insert, Side::Out, {}, Jump{kToWorkloadChain},
             "policy of the receiving workload");
  if (options.dispatch == Dispatch::Maps) return table;
  // Only behind the two jumps can the mark be ours, and only for packets of workload interfaces is
  // it.
  const std::vector<Match> mark{accepted(options, Sense::Is)};
  eachPrefix(BaseChain::Forward, Position::Last, Side::In, mark, finalAllow(options),
             "policy accepted it");
  eachPrefix(BaseChain::Forward, Position::Last, Side::Out, mark, finalAllow(options),
             "policy accepted it");
  return table;
}

std::vector<HookRule> acceptHooks(const StaticOptions& options, AcceptBy by) {
  std::vector<HookRule> out;
  if (options.allow == AllowAction::Return) return out;
  const auto add = [&](BaseChain chain, Side side, const std::string& prefix, const Match* match,
                       const std::string& what) {
    std::vector<Match> matches{workload(side, prefix)};
    if (match != nullptr) matches.push_back(*match);
    out.push_back(hook(chain, Position::Last, std::move(matches), dataplane::Accept{}, what));
  };
  // What the host's own rules are to decide carries the mark as well.
  const bool hostDecides = options.endpointToHost == HostAction::Return;
  const Match mark = accepted(options, Sense::Is);
  const Match flow = established();
  for (const auto chain : {BaseChain::Forward, BaseChain::Input}) {
    for (const auto side : {Side::In, Side::Out}) {
      if (chain == BaseChain::Input && side == Side::Out) continue;
      for (const std::string& prefix : options.interfacePrefixes) {
        const bool leave = chain == BaseChain::Input && hostDecides;
        if (by == AcceptBy::Interface && !leave) {
          add(chain, side, prefix, nullptr, "policy of workloads is in other tables");
          continue;
        }
        add(chain, side, prefix, &flow, "flow that policy accepted");
        if (!leave) add(chain, side, prefix, &mark, "policy accepted it");
      }
    }
  }
  return out;
}

}  // namespace margay::controllers
