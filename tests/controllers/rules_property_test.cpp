#include <gtest/gtest.h>
#include <netinet/in.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "base/hash.h"
#include "controllers/policy/static_chains.h"
#include "tests/controllers/simulator.h"

/// Rules and packets at random, from values so few that they meet: what the kernel would do with
/// the rules we build must be what the resolved rules say.
namespace margay::controllers {
namespace {

using api::RuleAction;
using dataplane::BaseChain;
using dataplane::SetMember;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
  }
  bool oneIn(std::size_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// --- The meaning of a resolved rule, said directly ---

struct World {
  Family family = Family::V4;
  std::map<SetId, std::vector<SetMember>> sets;
  std::vector<SetId> addressSets;
  std::vector<SetId> portSets;
};

bool inSet(const World& world, const SetId& id, const Address& address, std::uint8_t protocol,
           std::uint16_t port) {
  const bool withPort = setType(id.kind) == dataplane::SetType::HashIpPort;
  const auto& members = world.sets.at(id);
  return std::any_of(members.begin(), members.end(), [&](const SetMember& member) {
    return member.net.contains(address) &&
           (!withPort || (member.protocol == protocol && member.port == port));
  });
}

bool portsHold(const std::vector<api::PortRange>& ports, std::uint16_t port) {
  return std::any_of(ports.begin(), ports.end(),
                     [&](const api::PortRange& r) { return r.first <= port && port <= r.last; });
}

/// Calico's reading: a list of nets none of which is of the family takes the rule out, also a
/// negated one.
bool endHolds(const World& world, const ResolvedEnd& end, const Address& address,
              std::uint8_t protocol, std::uint16_t port) {
  const auto ofFamily = [&](const Prefix& net) { return net.family() == world.family; };
  const auto holds = [&](const Prefix& net) { return net.contains(address); };
  const auto in = [&](const SetId& id) { return inSet(world, id, address, protocol, port); };
  if (!end.nets.empty() && std::none_of(end.nets.begin(), end.nets.end(), holds)) return false;
  if (!end.notNets.empty() && std::none_of(end.notNets.begin(), end.notNets.end(), ofFamily))
    return false;
  if (std::any_of(end.notNets.begin(), end.notNets.end(), holds)) return false;
  if (!std::all_of(end.sets.begin(), end.sets.end(), in)) return false;
  if (std::any_of(end.notSets.begin(), end.notSets.end(), in)) return false;
  if (!std::all_of(end.portSets.begin(), end.portSets.end(), in)) return false;
  const bool anyPort = end.ports.empty() && end.namedPorts.empty();
  if (!anyPort && !portsHold(end.ports, port) &&
      std::none_of(end.namedPorts.begin(), end.namedPorts.end(), in))
    return false;
  return !portsHold(end.notPorts, port) &&
         std::none_of(end.notNamedPorts.begin(), end.notNamedPorts.end(), in);
}

bool icmpHolds(const api::IcmpFields& fields, const sim::Packet& packet) {
  return (!fields.type || *fields.type == packet.icmpType) &&
         (!fields.code || *fields.code == packet.icmpCode);
}

bool ruleHolds(const World& world, const ResolvedRule& rule, const sim::Packet& packet) {
  if (rule.ipVersion && *rule.ipVersion != world.family) return false;
  if (rule.protocol && *rule.protocol != packet.protocol) return false;
  if (rule.notProtocol && *rule.notProtocol == packet.protocol) return false;
  // ICMP types are of the family's own ICMP only.
  const std::uint8_t icmp =
      world.family == Family::V4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
  const bool typed = (rule.icmp && rule.icmp->type) || (rule.notIcmp && rule.notIcmp->type);
  if (typed && packet.protocol != icmp) return false;
  if (rule.icmp && rule.icmp->type && !icmpHolds(*rule.icmp, packet)) return false;
  if (rule.notIcmp && rule.notIcmp->type && icmpHolds(*rule.notIcmp, packet)) return false;
  return endHolds(world, rule.source, packet.source, packet.protocol, packet.sourcePort) &&
         endHolds(world, rule.destination, packet.destination, packet.protocol,
                  packet.destinationPort);
}

struct Judged {
  std::optional<RuleAction> decision;
  std::size_t logs = 0;
};

Judged judge(const World& world, const RuleList& list, const sim::Packet& packet) {
  Judged out;
  for (const ResolvedRule& rule : list.rules) {
    if (!ruleHolds(world, rule, packet)) continue;
    if (rule.action != RuleAction::Log) {
      out.decision = rule.action;
      return out;
    }
    ++out.logs;
  }
  return out;
}

Judged judge(const World& world, const Group& group, const sim::Packet& packet) {
  Judged out;
  const auto ask = [&](const RuleListPtr& list) {
    const Judged one = judge(world, *list, packet);
    out.logs += one.logs;
    return one.decision;
  };
  for (const GroupTier& tier : group.tiers) {
    std::optional<RuleAction> decision;
    for (const RuleListPtr& policy : tier.policies) {
      if (decision = ask(policy); decision) break;
    }
    if (decision == RuleAction::Pass || (!decision && tier.defaultAction == api::TierDefault::Pass))
      continue;
    out.decision = decision ? *decision : RuleAction::Deny;
    return out;
  }
  for (const RuleListPtr& profile : group.profiles) {
    const auto decision = ask(profile);
    if (decision == RuleAction::Allow || decision == RuleAction::Deny) {
      out.decision = decision;
      return out;
    }
  }
  out.decision = RuleAction::Deny;
  return out;
}

// --- Values at random ---

class Generator {
 public:
  Generator(Dice& dice, Family family) : dice_(dice) { world.family = family; }

  World world;

  Address address(Family family) {
    std::vector<std::uint8_t> bytes(family == Family::V4 ? 4 : 16, 0);
    bytes.front() = family == Family::V4 ? 10 : 0xfd;
    bytes.back() = static_cast<std::uint8_t>(dice_.below(8));
    return Address::fromBytes(bytes);
  }
  Prefix net(Family family, std::size_t everythingOneIn) {
    const auto bits = addressBits(family);
    const auto length = dice_.oneIn(everythingOneIn) ? 0 : bits - dice_.below(4);
    return Prefix{address(family), static_cast<std::uint8_t>(length)}.masked();
  }
  std::vector<Prefix> nets(std::size_t most, std::size_t everythingOneIn) {
    std::vector<Prefix> out;
    const std::size_t count = dice_.oneIn(3) ? 1 + dice_.below(most) : 0;
    const Family other = world.family == Family::V4 ? Family::V6 : Family::V4;
    for (std::size_t i = 0; i < count; ++i)
      out.push_back(net(dice_.oneIn(6) ? other : world.family, everythingOneIn));
    return out;
  }
  std::vector<api::PortRange> ports() {
    std::vector<api::PortRange> out;
    // Now and then so many scattered ones that they need several kernel rules.
    const std::size_t count = dice_.oneIn(4) ? 16 + dice_.below(20) : 1 + dice_.below(3);
    for (std::size_t i = 0; i < count; ++i) {
      const auto first =
          static_cast<std::uint16_t>(count > 3 ? 3 * dice_.below(40) : dice_.below(6));
      out.push_back({first, static_cast<std::uint16_t>(first + dice_.below(3) / 2)});
    }
    return out;
  }
  std::uint16_t port() {
    return static_cast<std::uint16_t>(dice_.oneIn(2) ? dice_.below(6) : dice_.below(120));
  }
  std::uint8_t protocol() {
    return dice_.of<std::uint8_t>(
        {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP});
  }
  api::IcmpFields icmp() {
    api::IcmpFields out;
    if (dice_.oneIn(8)) return out;
    out.type = static_cast<std::uint8_t>(dice_.below(3));
    if (dice_.oneIn(2)) out.code = static_cast<std::uint8_t>(dice_.below(2));
    return out;
  }

  void makeSets() {
    for (int i = 0; i < 3; ++i) {
      SetId id;
      id.kind = i == 2 ? SetKind::ServiceNoPort : SetKind::Selector;
      id.selector = "has(a" + std::to_string(i) + ")";
      for (std::size_t n = dice_.below(5); n > 0; --n)
        world.sets[id].push_back({net(world.family, 50), 0, 0, {}});
      world.sets[id];
      world.addressSets.push_back(id);
    }
    for (int i = 0; i < 3; ++i) {
      SetId id;
      id.kind = i == 2 ? SetKind::Service : SetKind::NamedPort;
      id.portName = "p" + std::to_string(i);
      for (std::size_t n = dice_.below(8); n > 0; --n) {
        world.sets[id].push_back({Prefix::host(address(world.family)),
                                  dice_.of<std::uint8_t>({IPPROTO_TCP, IPPROTO_UDP}),
                                  port(),
                                  {}});
      }
      world.sets[id];
      world.portSets.push_back(id);
    }
  }

  ResolvedEnd end(bool withPorts) {
    ResolvedEnd out;
    out.nets = nets(5, 12);
    out.notNets = nets(4, 20);
    const auto some = [&](const std::vector<SetId>& from, std::size_t oneIn) {
      std::vector<SetId> picked;
      while (dice_.oneIn(oneIn) && picked.size() < 3) picked.push_back(dice_.of(from));
      return picked;
    };
    out.sets = some(world.addressSets, 5);
    out.notSets = some(world.addressSets, 8);
    out.portSets = some(world.portSets, 10);
    if (withPorts && dice_.oneIn(2)) out.ports = ports();
    if (withPorts && dice_.oneIn(6)) out.notPorts = ports();
    out.namedPorts = some(world.portSets, 7);
    out.notNamedPorts = some(world.portSets, 10);
    return out;
  }

  ResolvedRule rule() {
    ResolvedRule out;
    out.action = dice_.of<RuleAction>({RuleAction::Allow, RuleAction::Allow, RuleAction::Deny,
                                       RuleAction::Log, RuleAction::Pass});
    if (dice_.oneIn(60)) return out;
    if (dice_.oneIn(8)) out.ipVersion = dice_.oneIn(2) ? Family::V4 : Family::V6;
    if (dice_.oneIn(2)) out.protocol = protocol();
    if (dice_.oneIn(8)) out.notProtocol = protocol();
    if (out.protocol == IPPROTO_ICMP || out.protocol == IPPROTO_ICMPV6) {
      if (dice_.oneIn(2)) out.icmp = icmp();
      if (dice_.oneIn(3)) out.notIcmp = icmp();
    }
    const bool withPorts =
        out.protocol == IPPROTO_TCP || out.protocol == IPPROTO_UDP || out.protocol == IPPROTO_SCTP;
    // Rules that ask for everything at once hardly ever match.
    if (dice_.oneIn(2)) out.source = end(withPorts);
    if (dice_.oneIn(2)) out.destination = end(withPorts);
    return out;
  }
  RuleListPtr list(bool profile, std::size_t most) {
    auto out = std::make_shared<RuleList>();
    if (!profile) out->label = "policy-" + std::to_string(next_), out->tier = "default";
    for (std::size_t n = dice_.below(most + 1); n > 0; --n) out->rules.push_back(rule());
    out->hash = contentHash(std::to_string(next_++), 16);
    return out;
  }
  GroupPtr group(api::PolicyDirection direction) {
    auto out = std::make_shared<Group>();
    out->direction = direction;
    for (std::size_t tiers = dice_.below(4); tiers > 0; --tiers) {
      GroupTier tier;
      tier.name = "tier" + std::to_string(tiers);
      if (dice_.oneIn(2)) tier.defaultAction = api::TierDefault::Pass;
      for (std::size_t n = 1 + dice_.below(3); n > 0; --n) tier.policies.push_back(list(false, 3));
      out->tiers.push_back(tier);
    }
    for (std::size_t n = dice_.below(4); n > 0; --n) out->profiles.push_back(list(true, 3));
    out->hash = contentHash(std::to_string(next_++), 16);
    return out;
  }
  sim::Packet packet() {
    sim::Packet out;
    out.source = address(world.family);
    out.destination = address(world.family);
    out.protocol = protocol();
    if (out.protocol == IPPROTO_ICMP || out.protocol == IPPROTO_ICMPV6) {
      out.icmpType = static_cast<std::uint8_t>(dice_.below(3));
      out.icmpCode = static_cast<std::uint8_t>(dice_.below(2));
    } else {
      out.sourcePort = port();
      out.destinationPort = port();
    }
    out.mark =
        static_cast<std::uint32_t>(dice_.below(1U << 16) << 18);  // leaves accept and pass alone
    return out;
  }
  [[nodiscard]] sim::Sets kernelSets() const {
    sim::Sets out;
    for (const auto& [id, members] : world.sets) out[setName(id, world.family)] = members;
    return out;
  }

 private:
  Dice& dice_;
  int next_ = 0;
};

RuleOptions ruleOptions() {
  RuleOptions out;
  out.marks = *allocateMarks(kDefaultMarkMask);
  return out;
}

std::optional<RuleAction> decisionOf(const sim::Outcome& outcome) {
  const MarkBits marks = ruleOptions().marks;
  if (outcome.verdict == sim::Verdict::Drop) return RuleAction::Deny;
  if ((outcome.mark & marks.accept) != 0) return RuleAction::Allow;
  if ((outcome.mark & marks.pass) != 0) return RuleAction::Pass;
  return std::nullopt;
}

RC_GTEST_PROP(RuleListProperty, TheKernelDecidesAndLogsAsTheRulesSay, (std::uint64_t seed)) {
  Dice dice(seed);
  Generator generate(dice, dice.oneIn(2) ? Family::V4 : Family::V6);
  generate.makeSets();
  const World& world = generate.world;
  for (int round = 0; round < 20; ++round) {
    const RuleListPtr list = generate.list(dice.oneIn(3), 5);
    const RenderedList rendered =
        renderRuleList(*list, api::PolicyDirection::Ingress, world.family, ruleOptions());
    dataplane::RuleTable table;
    table.chains = rendered.chains;
    table.chains.merge(verdictChains(ruleOptions().marks));
    if (!rendered.entry.empty()) {
      table.hooks.push_back({BaseChain::Forward,
                             dataplane::Position::First,
                             {{}, dataplane::Jump{rendered.entry}, "margay: test"}});
    }
    const auto faults = sim::faults(table);
    RC_ASSERT(faults.empty());
    const sim::Sets sets = generate.kernelSets();
    for (int i = 0; i < 60; ++i) {
      const sim::Packet packet = generate.packet();
      const Judged expected = judge(world, *list, packet);
      const sim::Outcome outcome = sim::run(table, sets, BaseChain::Forward, packet);
      if (decisionOf(outcome) != expected.decision) RC_LOG() << sim::text(table);
      RC_ASSERT(decisionOf(outcome) == expected.decision);
      RC_ASSERT(outcome.logs.size() == expected.logs);
      RC_ASSERT(expected.decision != RuleAction::Allow || rendered.canAccept);
      RC_ASSERT(expected.decision != RuleAction::Pass || rendered.canPass);
    }
  }
}

RC_GTEST_PROP(GroupProperty, FlowsBetweenTwoWorkloadsMeetBothGroupsWhicheverBucketOrMapHoldsThem,
              (std::uint64_t seed)) {
  Dice dice(seed);
  Generator generate(dice, dice.oneIn(2) ? Family::V4 : Family::V6);
  generate.makeSets();
  const World& world = generate.world;
  StaticOptions options;
  options.rules = ruleOptions();
  const bool maps = dice.oneIn(2);
  options.dispatch = maps ? Dispatch::Maps : Dispatch::Sets;
  dataplane::RuleTable table = filterTable(world.family, options);
  GroupChains chains(world.family, options.rules);

  std::vector<GroupPtr> groups;
  for (std::size_t n = 1 + dice.below(40); n > 0; --n) {
    groups.push_back(generate.group(dice.oneIn(2) ? api::PolicyDirection::Ingress
                                                  : api::PolicyDirection::Egress));
  }
  const GroupPtr in = generate.group(api::PolicyDirection::Ingress);
  const GroupPtr out = generate.group(api::PolicyDirection::Egress);
  groups.push_back(in);
  groups.push_back(out);
  for (const GroupPtr& group : groups) chains.add(group);

  const auto ingress = dispatchLayout(api::PolicyDirection::Ingress, groups);
  const auto egress = dispatchLayout(api::PolicyDirection::Egress, groups);
  table.chains.insert(chains.chains().begin(), chains.chains().end());
  for (const auto* layout : {&ingress, &egress}) {
    table.chains.merge(maps ? mapChains(*layout, {}, world.family, options.rules.marks)
                            : dispatchChains(*layout, {}, world.family));
  }
  const auto faults = sim::faults(table);
  RC_ASSERT(faults.empty());

  sim::Sets sets = generate.kernelSets();
  for (const auto* layout : {&ingress, &egress}) {
    for (const auto& spec : dispatchSets(*layout, world.family)) sets[spec.name];
    sets[dispatchMap(layout->direction, world.family).name];
  }
  // Both interfaces claim all addresses: the interface alone decides whose group judges.
  for (const char* device : {"cali1", "cali2"}) {
    auto local = std::make_shared<LocalEndpoint>();
    local->endpoint = share(api::WorkloadEndpoint{});
    local->ingress = std::string_view(device) == "cali2"                          ? in
                     : groups.front()->direction == api::PolicyDirection::Ingress ? groups.front()
                                                                                  : in;
    local->egress = std::string_view(device) == "cali1"                         ? out
                    : groups.front()->direction == api::PolicyDirection::Egress ? groups.front()
                                                                                : out;
    WorkloadInterface interface {
      device, local, {}
    };
    for (int i = 0; i < 8; ++i)
      interface.addresses.push_back(Prefix::host(generate.address(world.family)));
    std::vector<std::uint8_t> bytes(world.family == Family::V4 ? 4 : 16, 0);
    bytes.front() = world.family == Family::V4 ? 10 : 0xfd;
    for (std::uint8_t i = 0; i < 8; ++i) {
      bytes.back() = i;
      interface.addresses.push_back(Prefix::host(Address::fromBytes(bytes)));
    }
    const auto entries = maps ? mapEntries(interface, world.family, ingress, egress, {})
                              : dispatchEntries(interface, world.family, ingress, egress, {});
    for (const auto& entry : entries.groups) sets[entry.set].push_back(entry.member);
  }

  for (int i = 0; i < 40; ++i) {
    sim::Packet packet = generate.packet();
    packet.mark = static_cast<std::uint32_t>(dice.below(1U << 16) << 16);
    packet.in = "cali1";
    packet.out = "cali2";
    const Judged sender = judge(world, *out, packet);
    const bool sent = sender.decision == RuleAction::Allow;
    const Judged receiver = sent ? judge(world, *in, packet) : Judged{};
    const sim::Outcome outcome = sim::run(table, sets, BaseChain::Forward, packet);
    const bool passes = sent && receiver.decision == RuleAction::Allow;
    // In a table of our own a packet that nothing drops goes on.
    const auto accepted = maps ? std::nullopt : std::optional(sim::Verdict::Accept);
    RC_ASSERT(outcome.verdict == (passes ? accepted : sim::Verdict::Drop));
    RC_ASSERT(outcome.logs.size() == sender.logs + receiver.logs);
  }

  for (const GroupPtr& group : groups) chains.remove(*group);
  RC_ASSERT(chains.chains().empty());
}

}  // namespace
}  // namespace margay::controllers
