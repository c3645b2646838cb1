#include "controllers/policy/static_chains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controllers/simulator.h"

namespace margay::controllers {
namespace {

using dataplane::BaseChain;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

StaticOptions options() {
  StaticOptions out;
  out.rules.marks = *allocateMarks(kDefaultMarkMask);
  return out;
}

dataplane::SetMember member(const char* net, const char* device) {
  dataplane::SetMember out;
  out.net = *Prefix::parseNetwork(net);
  out.device = device;
  return out;
}

/// The filter table with one group each way that allows everything.
class Filter {
 public:
  explicit Filter(Family family, const StaticOptions& opts) : table(filterTable(family, opts)) {
    for (const auto direction : {api::PolicyDirection::Ingress, api::PolicyDirection::Egress}) {
      auto list = std::make_shared<RuleList>();
      list->rules.emplace_back();
      list->hash = "1111111111111111";
      auto group = std::make_shared<Group>();
      group->direction = direction;
      group->profiles = {list};
      group->hash = "aaaaaaaaaaaaaaaa";
      GroupChains groups(family, opts.rules);
      groups.add(group);
      const std::vector<GroupPtr> all{group};
      ChainMap dispatch = dispatchChains(dispatchLayout(direction, all), {}, family);
      table.chains.merge(dispatch);
      table.chains.insert(groups.chains().begin(), groups.chains().end());
      sets[groupSetName(*group, family)] = {};
    }
  }
  void pod(const char* address, const char* device) {
    for (auto& [name, members] : sets) members.push_back(member(address, device));
  }
  [[nodiscard]] std::optional<sim::Verdict> run(BaseChain base, const sim::Packet& packet) const {
    return sim::run(table, sets, base, packet).verdict;
  }
  dataplane::RuleTable table;
  sim::Sets sets;
};

sim::Packet packet(const char* from, const char* in, const char* to, const char* out) {
  sim::Packet p;
  p.source = *Address::parse(from);
  p.destination = *Address::parse(to);
  p.in = in;
  p.out = out;
  p.destinationPort = 80;
  return p;
}

TEST(StaticChains, RawTableOfIpv4) {
  const auto table = rawTable(Family::V4, options(), {});
  EXPECT_THAT(sim::faults(table), IsEmpty());
  EXPECT_EQ(sim::text(table),
            "PREROUTING first: -i cali+ -j mgy-antispoof  # margay: check the source of workload "
            "packets\n"
            "mgy-antispoof: -d 127.0.0.0/8 -j DROP\n"
            "mgy-antispoof: --match-set mgy4-local src,src -j RETURN\n"
            "mgy-antispoof: -j DROP  # not an address of the workload\n");
}

TEST(StaticChains, RawTableOfIpv6LetsNeighbourDiscoveryThrough) {
  const auto table = rawTable(Family::V6, options(), {});
  EXPECT_EQ(sim::text(table),
            "PREROUTING first: -i cali+ -j mgy-antispoof  # margay: check the source of workload "
            "packets\n"
            "mgy-antispoof: -s fe80::/10 -p 58 -j RETURN\n"
            "mgy-antispoof: -s ::/128 -p 58 -j RETURN\n"
            "mgy-antispoof: --match-set mgy6-local src,src -j RETURN\n"
            "mgy-antispoof: -j DROP  # not an address of the workload\n");
}

TEST(StaticChains, FilterTableOfIpv4) {
  EXPECT_EQ(
      sim::text(filterTable(Family::V4, options())),
      "INPUT first: -i cali+ -j mgy-workload-to-host  # margay: policy of packets from workloads "
      "to the host\n"
      "FORWARD first: -i cali+ -j mgy-from-workload  # margay: policy of the sending workload\n"
      "FORWARD first: -o cali+ -j mgy-to-workload  # margay: policy of the receiving workload\n"
      "FORWARD last: -i cali+ --mark 0x10000/0x10000 -j ACCEPT  # margay: policy accepted it\n"
      "FORWARD last: -o cali+ --mark 0x10000/0x10000 -j ACCEPT  # margay: policy accepted it\n"
      "mgy-accept: -j MARK 0x10000/0x10000\n"
      "mgy-from-workload: --ctstate ESTABLISHED,RELATED -j ACCEPT\n"
      "mgy-from-workload: --ctstate INVALID -j DROP\n"
      "mgy-from-workload: -j MARK 0x0/0x30000\n"
      "mgy-from-workload: -p 17 --dports 4789,8472 -j DROP  # VXLAN from a workload\n"
      "mgy-from-workload: -p 4 -j DROP  # IP in IP from a workload\n"
      "mgy-from-workload: -j mgy-from-dispatch\n"
      "mgy-from-workload: --mark 0x0/0x10000 -j DROP  # no policy or profile accepted it\n"
      "mgy-pass: -j MARK 0x20000/0x20000\n"
      "mgy-to-workload: --ctstate ESTABLISHED,RELATED -j ACCEPT\n"
      "mgy-to-workload: --ctstate INVALID -j DROP\n"
      "mgy-to-workload: -j MARK 0x0/0x30000\n"
      "mgy-to-workload: -j mgy-to-dispatch\n"
      "mgy-to-workload: --mark 0x0/0x10000 -j DROP  # no policy or profile accepted it\n"
      "mgy-workload-to-host: -j mgy-from-workload\n"
      "mgy-workload-to-host: -j DROP  # DefaultEndpointToHostAction\n");
}

TEST(StaticChains, AntiSpoofingKnowsAddressAndInterface) {
  const auto table = rawTable(Family::V4, options(), {});
  const sim::Sets sets{{"mgy4-local", {member("10.0.0.1", "cali1")}}};
  const auto verdict = [&](const sim::Packet& p) {
    return sim::run(table, sets, BaseChain::Prerouting, p).verdict;
  };
  EXPECT_EQ(verdict(packet("10.0.0.1", "cali1", "10.0.0.2", "")), std::nullopt);
  EXPECT_EQ(verdict(packet("10.0.0.1", "cali2", "10.0.0.2", "")), sim::Verdict::Drop);
  EXPECT_EQ(verdict(packet("10.0.0.9", "cali1", "10.0.0.2", "")), sim::Verdict::Drop);
  EXPECT_EQ(verdict(packet("10.0.0.1", "cali1", "127.0.0.1", "")), sim::Verdict::Drop);
  EXPECT_EQ(verdict(packet("10.0.0.9", "eth0", "127.0.0.1", "")), std::nullopt);
}

TEST(StaticChains, SharedSourcesAreRulesByInterface) {
  const std::vector<SharedSource> shared{{"cali1", *Prefix::parseNetwork("0.0.0.0/0"), {}, {}},
                                         {"cali2", *Prefix::parseNetwork("169.254.0.0/16"), {}, {}},
                                         {"cali2", *Prefix::parseNetwork("::/0"), {}, {}}};
  const auto table = rawTable(Family::V4, options(), shared);
  const sim::Sets sets{{"mgy4-local", {}}};
  const auto verdict = [&](const sim::Packet& p) {
    return sim::run(table, sets, BaseChain::Prerouting, p).verdict;
  };
  EXPECT_EQ(verdict(packet("8.8.8.8", "cali1", "10.0.0.2", "")), std::nullopt);
  EXPECT_EQ(verdict(packet("169.254.1.1", "cali2", "10.0.0.2", "")), std::nullopt);
  EXPECT_EQ(verdict(packet("8.8.8.8", "cali2", "10.0.0.2", "")), sim::Verdict::Drop);
}

TEST(StaticChains, KnownWorkloadsTalkAndUnknownOnesDoNot) {
  Filter filter(Family::V4, options());
  filter.pod("10.0.0.1", "cali1");
  filter.pod("10.0.0.2", "cali2");
  EXPECT_THAT(sim::faults(filter.table), IsEmpty());
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali1", "10.0.0.2", "cali2")),
            sim::Verdict::Accept);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali1", "8.8.8.8", "eth0")),
            sim::Verdict::Accept);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("8.8.8.8", "eth0", "10.0.0.2", "cali2")),
            sim::Verdict::Accept);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali1", "10.0.0.3", "cali3")),
            sim::Verdict::Drop);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.3", "cali3", "10.0.0.2", "cali2")),
            sim::Verdict::Drop);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali2", "8.8.8.8", "eth0")),
            sim::Verdict::Drop);
}

TEST(StaticChains, ForeignPacketsAreLeftAloneWhateverTheirMark) {
  Filter filter(Family::V4, options());
  sim::Packet foreign = packet("192.0.2.1", "eth0", "192.0.2.2", "eth1");
  foreign.mark = 0xffff0000;
  for (const auto base : {BaseChain::Forward, BaseChain::Input}) {
    const auto outcome = sim::run(filter.table, filter.sets, base, foreign);
    EXPECT_EQ(outcome.verdict, std::nullopt);
    EXPECT_EQ(outcome.mark, foreign.mark);
  }
}

TEST(StaticChains, AMarkFromElsewhereOpensNothing) {
  Filter filter(Family::V4, options());
  sim::Packet forged = packet("10.0.0.3", "cali3", "10.0.0.4", "cali4");
  forged.mark = 0xffff0000;
  EXPECT_EQ(filter.run(BaseChain::Forward, forged), sim::Verdict::Drop);
}

TEST(StaticChains, EstablishedFlowsPassAndInvalidPacketsDoNot) {
  StaticOptions opts = options();
  sim::Packet p = packet("10.0.0.3", "cali3", "8.8.8.8", "eth0");
  p.state = sim::State::Established;
  EXPECT_EQ(Filter(Family::V4, opts).run(BaseChain::Forward, p), sim::Verdict::Accept);
  Filter filter(Family::V4, opts);
  filter.pod("10.0.0.3", "cali3");
  p.state = sim::State::Invalid;
  EXPECT_EQ(filter.run(BaseChain::Forward, p), sim::Verdict::Drop);
  opts.invalid = InvalidPackets::Ignore;
  Filter lax(Family::V4, opts);
  lax.pod("10.0.0.3", "cali3");
  EXPECT_EQ(lax.run(BaseChain::Forward, p), sim::Verdict::Accept);
}

TEST(StaticChains, TunnelsFromWorkloadsNeedPermission) {
  StaticOptions opts = options();
  sim::Packet vxlan = packet("10.0.0.1", "cali1", "8.8.8.8", "eth0");
  vxlan.protocol = 17;
  vxlan.destinationPort = 8472;
  sim::Packet ipip = packet("10.0.0.1", "cali1", "8.8.8.8", "eth0");
  ipip.protocol = 4;
  Filter strict(Family::V4, opts);
  strict.pod("10.0.0.1", "cali1");
  EXPECT_EQ(strict.run(BaseChain::Forward, vxlan), sim::Verdict::Drop);
  EXPECT_EQ(strict.run(BaseChain::Forward, ipip), sim::Verdict::Drop);
  opts.vxlan = opts.ipip = Encapsulation::Allow;
  Filter lax(Family::V4, opts);
  lax.pod("10.0.0.1", "cali1");
  EXPECT_EQ(lax.run(BaseChain::Forward, vxlan), sim::Verdict::Accept);
  EXPECT_EQ(lax.run(BaseChain::Forward, ipip), sim::Verdict::Accept);
}

TEST(StaticChains, EndpointToHostActionIsForNewFlowsThatPolicyAllows) {
  const sim::Packet fresh = packet("10.0.0.1", "cali1", "192.0.2.1", "");
  sim::Packet reply = fresh;
  reply.state = sim::State::Established;
  const sim::Packet unknown = packet("10.0.0.9", "cali1", "192.0.2.1", "");
  const std::vector<std::pair<HostAction, std::optional<sim::Verdict>>> cases{
      {HostAction::Drop, sim::Verdict::Drop},
      {HostAction::Accept, sim::Verdict::Accept},
      {HostAction::Return, std::nullopt}};
  for (const auto& [action, expected] : cases) {
    StaticOptions opts = options();
    opts.endpointToHost = action;
    Filter filter(Family::V4, opts);
    filter.pod("10.0.0.1", "cali1");
    EXPECT_EQ(filter.run(BaseChain::Input, fresh), expected);
    EXPECT_EQ(filter.run(BaseChain::Input, reply), sim::Verdict::Accept);
    EXPECT_EQ(filter.run(BaseChain::Input, unknown), sim::Verdict::Drop);
  }
}

TEST(StaticChains, RoutersHearNeighbourDiscoveryWhateverThePolicy) {
  Filter filter(Family::V6, options());
  sim::Packet solicitation = packet("fe80::1", "cali1", "ff02::1:ff00:1", "");
  solicitation.protocol = 58;
  solicitation.icmpType = 135;
  EXPECT_EQ(filter.run(BaseChain::Input, solicitation), sim::Verdict::Accept);
  solicitation.icmpType = 134;
  EXPECT_EQ(filter.run(BaseChain::Input, solicitation), sim::Verdict::Drop);
}

TEST(StaticChains, AllowActionReturnLeavesTheLastWordToOthers) {
  StaticOptions opts = options();
  opts.allow = AllowAction::Return;
  Filter filter(Family::V4, opts);
  filter.pod("10.0.0.1", "cali1");
  EXPECT_THAT(sim::faults(filter.table), IsEmpty());
  sim::Packet p = packet("10.0.0.1", "cali1", "8.8.8.8", "eth0");
  EXPECT_EQ(filter.run(BaseChain::Forward, p), std::nullopt);
  p.state = sim::State::Established;
  EXPECT_EQ(filter.run(BaseChain::Forward, p), std::nullopt);
  EXPECT_EQ(filter.run(BaseChain::Input, p), std::nullopt);
}

TEST(StaticChains, AppendModePutsHooksBehindOthersInOrder) {
  StaticOptions opts = options();
  opts.insert = dataplane::Position::Last;
  Filter filter(Family::V4, opts);
  filter.pod("10.0.0.1", "cali1");
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali1", "8.8.8.8", "eth0")),
            sim::Verdict::Accept);
  EXPECT_THAT(sim::text(filter.table), Not(HasSubstr("first:")));
}

TEST(StaticChains, EveryPrefixHasItsHooks) {
  StaticOptions opts = options();
  opts.interfacePrefixes = {"cali", "tap"};
  Filter filter(Family::V4, opts);
  filter.pod("10.0.0.1", "cali1");
  filter.pod("10.0.0.2", "tap2");
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "cali1", "10.0.0.2", "tap2")),
            sim::Verdict::Accept);
  EXPECT_EQ(filter.run(BaseChain::Forward, packet("10.0.0.1", "tap2", "10.0.0.2", "eth0")),
            sim::Verdict::Drop);
}

TEST(StaticChains, RejectReplacesEveryPolicyDrop) {
  StaticOptions opts = options();
  opts.rules.deny = DenyAction::Reject;
  EXPECT_EQ(Filter(Family::V4, opts)
                .run(BaseChain::Forward, packet("10.0.0.1", "cali1", "8.8.8.8", "eth0")),
            sim::Verdict::Reject);
}

}  // namespace
}  // namespace margay::controllers
