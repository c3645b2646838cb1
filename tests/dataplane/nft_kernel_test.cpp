#include <gmock/gmock.h>
#include <netinet/in.h>
#include <rapidcheck.h>

#include <memory>
#include <string>

#include "dataplane/nft_driver.h"
#include "tests/dataplane/iptables_generators.h"
#include "tests/dataplane/network_namespace.h"

/// What only the real kernel can say: that it takes what we encode and gives it back, that nft
/// shows it as a person writes it, and who is told of what.
namespace margay::dataplane {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::mustShell;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

constexpr TableId kFilter{Family::V4, TableName::Filter};

ChainRules rulesOf(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}
SetMember net(const char* text) {
  SetMember out;
  out.net = *Prefix::parseNetwork(text);
  return out;
}
SetMember on(const char* text, const char* device, const char* target = "") {
  SetMember out = net(text);
  out.device = device;
  out.target = target;
  return out;
}
std::vector<Change<SetMember>> additions(std::vector<SetMember> members) {
  std::vector<Change<SetMember>> out;
  for (auto& member : members) out.push_back({Op::Add, std::move(member)});
  return out;
}
SetSpec specOf(const char* name, SetType type = SetType::HashNet, Family family = Family::V4) {
  return {name, type, family};
}

class NftKernelTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    auto opened = NftDriver::open();
    if (!opened) GTEST_SKIP() << opened.error().what;
    driver_ = std::move(*opened);
  }
  RuleDriver& rules() { return driver_->rules(); }
  IpsetDriver& sets() { return driver_->sets(); }

  Result<TableFingerprint> commit(TableId table, const TableEdit& edit) {
    const auto fingerprint = rules().fingerprint(table);
    if (!fingerprint) return Fail(fingerprint.error());
    return rules().commit(table, edit, *fingerprint);
  }
  void set(TableId table, const ChainName& chain, std::vector<Rule> content) {
    TableEdit edit;
    edit.set[chain] = rulesOf(std::move(content));
    const auto done = commit(table, edit);
    ASSERT_TRUE(done) << done.error().what;
  }
  void flush() {
    for (const auto& refusal : driver_->flush())
      ADD_FAILURE() << refusal.unit.object << ": " << refusal.error.what;
  }
  std::unique_ptr<NftDriver> driver_;
};

TEST_F(NftKernelTest, NftShowsRulesAsAPersonWritesThem) {
  const auto created = sets().create(specOf("mgy4-s-web"));
  ASSERT_TRUE(created);
  ASSERT_TRUE(sets().create(specOf("mgy4-p-http", SetType::HashIpPort)));
  ASSERT_TRUE(sets().create(specOf("mgy4-local", SetType::HashNetIface)));
  ASSERT_TRUE(sets().create(specOf("mgy4-from", SetType::NumberMap)));
  sets().apply("mgy4-s-web", additions({net("10.0.0.1"), net("10.1.0.0/16")}));
  ConntrackMatch established;
  established.established = established.related = true;
  ConntrackMatch invalid;
  invalid.invalid = true;
  TableEdit edit;
  edit.set["mgy-accept"] = rulesOf({{{}, SetMark{0x10000, 0x10000}, ""}});
  edit.set["mgy-go-one"] = rulesOf({
      {{established}, Accept{}, ""},
      {{invalid}, Drop{}, "not of a connection"},
      {{ProtocolMatch{IPPROTO_TCP}, PortsMatch{End::Destination, {{80, 80}, {8000, 8100}}},
        SetMatch{"mgy4-s-web", {End::Source}}},
       GoTo{"mgy-accept"},
       "policy web"},
      {{ProtocolMatch{IPPROTO_UDP}, PortsMatch{End::Destination, {{53, 53}}},
        SetMatch{"mgy4-s-web", {End::Source}, Sense::IsNot}},
       Return{},
       ""},
      {{SetMatch{
           "mgy4-p-http", {End::Destination, End::Destination}, Sense::Is, SetType::HashIpPort}},
       Jump{"mgy-accept"},
       ""},
      {{ProtocolMatch{IPPROTO_ICMP}, IcmpMatch{8, std::nullopt}}, Reject{}, ""},
      {{NetMatch{End::Source, *Prefix::parseNetwork("10.0.0.0/12"), Sense::IsNot},
        RateLimitMatch{10, RateUnit::Minute, 5}},
       LogPacket{"calico-packet: ", 5},
       ""},
  });
  edit.set["mgy-from-dispatch"] =
      rulesOf({{{}, LookUpChain{"mgy4-from", End::Source, {{0x2a, "mgy-go-one"}}, 0x30000}, ""}});
  edit.hooks[{BaseChain::Forward, Position::First}] = {
      {{InterfaceMatch{Side::In, "cali", NameMatch::Prefix}},
       Jump{"mgy-from-dispatch"},
       "margay: policy of the sending workload"},
      {{MarkMatch{0, 0x10000}, InterfaceMatch{Side::Out, "cali1"}}, Drop{}, ""}};
  ASSERT_TRUE(commit(kFilter, edit));
  sets().apply("mgy4-from", additions({on("10.0.0.1", "cali1", "0x0000002a")}));
  TableEdit raw;
  raw.hooks[{BaseChain::Prerouting, Position::First}] = {
      {{SetMatch{"mgy4-local", {End::Source, End::Source}, Sense::Is, SetType::HashNetIface}},
       NoTrack{},
       ""}};
  ASSERT_TRUE(commit({Family::V4, TableName::Raw}, raw));
  TableEdit nat;
  nat.hooks[{BaseChain::Postrouting, Position::Last}] = {
      {{ProtocolMatch{IPPROTO_TCP}}, Masquerade{PortRange{1024, 2047}, true}, ""},
      {{ProtocolMatch{IPPROTO_UDP}}, SourceNat{*Address::parse("192.0.2.1"), {}, true}, ""},
      {{}, Masquerade{}, ""}};
  ASSERT_TRUE(commit({Family::V4, TableName::Nat}, nat));
  flush();

  EXPECT_EQ(mustShell("nft list table ip margay"), R"(table ip margay {
	set mgy4-s-web {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.1, 10.1.0.0/16 }
	}

	set mgy4-p-http {
		type ipv4_addr . inet_proto . inet_service
	}

	set mgy4-local {
		type ifname . ipv4_addr
	}

	map mgy4-from {
		type ifname . ipv4_addr : mark
		elements = { "cali1" . 10.0.0.1 : 0x0000002a }
	}

	chain mgy-accept {
		meta mark set meta mark | 0x00010000
	}

	chain mgy-from-dispatch {
		meta mark set iifname . ip saddr map @mgy4-from meta mark set meta mark & 0xfffcffff meta mark vmap { 0x0000002a : goto mgy-go-one }
	}

	chain mgy-go-one {
		ct state established,related accept
		ct state invalid counter packets 0 bytes 0 drop comment "not of a connection"
		tcp dport 80 ip saddr @mgy4-s-web goto mgy-accept comment "policy web"
		tcp dport 8000-8100 ip saddr @mgy4-s-web goto mgy-accept
		udp dport 53 ip saddr != @mgy4-s-web return
		ip daddr . meta l4proto . th dport @mgy4-p-http jump mgy-accept
		icmp type echo-request counter packets 0 bytes 0 reject
		ip saddr != 10.0.0.0/12 limit rate 10/minute log prefix "calico-packet: " level notice
	}

	chain filter-forward {
		type filter hook forward priority filter - 1; policy accept;
		iifname "cali*" jump mgy-from-dispatch comment "margay: policy of the sending workload"
		meta mark & 0x00010000 == 0x00000000 oifname "cali1" counter packets 0 bytes 0 drop
	}

	chain raw-prerouting {
		type filter hook prerouting priority raw; policy accept;
		iifname . ip saddr @mgy4-local notrack
	}

	chain nat-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		meta l4proto tcp masquerade to :1024-2047 fully-random
		meta l4proto udp snat to 192.0.2.1 fully-random
		masquerade fully-random
	}
}
)");
}

TEST_F(NftKernelTest, RulesOfEveryKindComeBackWithTheDigestThatTheyWereGiven) {
  for (const auto table :
       {kFilter, TableId{Family::V6, TableName::Filter}, TableId{Family::V4, TableName::Nat},
        TableId{Family::V6, TableName::Raw}}) {
    const std::string set = table.family == Family::V4 ? "mgy4-a" : "mgy6-a";
    if (!sets().list()->contains(set)) {
      ASSERT_TRUE(sets().create({set, SetType::HashNet, table.family}));
    }
    const auto target = "mgy-target-" + std::string(tableText(table.table));
    const auto chain = "mgy-random-" + std::string(tableText(table.table));
    this->set(table, target, {});
    flush();
    const auto result = rc::check("round trip in " + table.str(), [&] {
      const auto all =
          *rc::gen::container<std::vector<Rule>>(8, testing::iptablesRule(table, {target}, {set}));
      std::vector<Rule> known;
      for (const auto& rule : all) {
        if (rules().digests(table, {&rule, 1})) known.push_back(rule);
      }
      TableEdit edit;
      edit.set[chain] = rulesOf(known);
      // A base chain of its type, so that the kernel judges actions that only some hooks may take.
      const auto base = table.table == TableName::Nat   ? BaseChain::Postrouting
                        : table.table == TableName::Raw ? BaseChain::Prerouting
                                                        : BaseChain::Forward;
      edit.hooks[{base, Position::Last}] = {{{}, Jump{chain}, "margay: random"}};
      RC_ASSERT(commit(table, edit));
      const auto refused = driver_->flush();
      if (!refused.empty()) RC_LOG() << refused.front().error.what;
      RC_ASSERT(refused.empty());
      const auto seen = rules().read(table);
      RC_ASSERT(seen);
      RC_ASSERT(seen->chains.at(chain) == *rules().digests(table, known));
      RC_ASSERT(seen->hooks.size() == 1U);
    });
    EXPECT_TRUE(result);
  }
}

TEST_F(NftKernelTest, MembersOfEverySetComeBack) {
  const std::vector<SetMember> nets{net("0.0.0.0/1"), net("128.0.0.0/24"), net("128.0.1.0/24"),
                                    net("192.0.2.7"), net("192.0.2.8"),    net("224.0.0.0/3")};
  ASSERT_TRUE(sets().create(specOf("mgy4-nets")));
  ASSERT_TRUE(sets().create(specOf("mgy6-nets", SetType::HashNet, Family::V6)));
  const std::vector<SetMember> nets6{net("::/1"), net("fd00::/8"), net("fe80::1"),
                                     net("ffff::/16")};
  SetMember port = net("10.0.0.1");
  port.protocol = IPPROTO_TCP;
  port.port = 8080;
  ASSERT_TRUE(sets().create(specOf("mgy4-ports", SetType::HashIpPort)));
  ASSERT_TRUE(sets().create(specOf("mgy6-if", SetType::HashNetIface, Family::V6)));
  ASSERT_TRUE(sets().create(specOf("mgy4-map", SetType::NumberMap)));
  const std::vector<SetMember> map{on("10.0.0.1", "cali12345678901", "0x00000001"),
                                   on("10.0.0.1", "cali2", "0xfedcba98")};
  sets().apply("mgy4-nets", additions(nets));
  sets().apply("mgy6-nets", additions(nets6));
  sets().apply("mgy4-ports", additions({port}));
  sets().apply("mgy6-if", additions({on("fd00::1", "cali1")}));
  sets().apply("mgy4-map", additions(map));
  ASSERT_TRUE(sets().create(specOf("mgy6-addresses", SetType::HashAddress, Family::V6)));
  sets().apply("mgy6-addresses", additions({net("fd00::1"), net("fd00::2")}));
  flush();
  EXPECT_THAT(*sets().members("mgy4-nets"), UnorderedElementsAreArray(nets));
  EXPECT_THAT(*sets().members("mgy6-nets"), UnorderedElementsAreArray(nets6));
  EXPECT_THAT(*sets().members("mgy4-ports"), ElementsAre(port));
  EXPECT_THAT(*sets().members("mgy6-if"), ElementsAre(on("fd00::1", "cali1")));
  EXPECT_THAT(*sets().members("mgy4-map"), UnorderedElementsAreArray(map));
  EXPECT_THAT(*sets().members("mgy6-addresses"),
              UnorderedElementsAre(net("fd00::1"), net("fd00::2")));

  std::vector<Change<SetMember>> changes{{Op::Remove, nets[1]}, {Op::Remove, nets[5]}};
  sets().apply("mgy4-nets", changes);
  sets().apply("mgy4-map", std::vector<Change<SetMember>>{{Op::Remove, map[0]}});
  flush();
  EXPECT_THAT(*sets().members("mgy4-nets"),
              UnorderedElementsAre(nets[0], nets[2], nets[3], nets[4]));
  EXPECT_THAT(*sets().members("mgy4-map"), ElementsAre(map[1]));
  const auto headers = sets().list();
  ASSERT_TRUE(headers);
  EXPECT_THAT(*headers, SizeIs(6));
  EXPECT_EQ(headers->at("mgy4-nets").entries, 4U);
  EXPECT_EQ(headers->at("mgy6-if").spec, specOf("mgy6-if", SetType::HashNetIface, Family::V6));
}

TEST_F(NftKernelTest, AnotherProcessFindsWhatThisOneLeft) {
  ASSERT_TRUE(sets().create(specOf("mgy4-nets")));
  sets().apply("mgy4-nets", additions({net("10.0.0.0/8")}));
  set(kFilter, "mgy-a", {{{}, Drop{}, "why"}});
  flush();
  auto other = NftDriver::open();
  ASSERT_TRUE(other);
  const auto headers = (*other)->sets().list();
  ASSERT_TRUE(headers);
  EXPECT_EQ(headers->at("mgy4-nets").spec, specOf("mgy4-nets"));
  const std::vector<Rule> same{{{}, Drop{}, "why"}};
  EXPECT_EQ((*other)->rules().read(kFilter)->chains.at("mgy-a"),
            *(*other)->rules().digests(kFilter, same));
}

TEST_F(NftKernelTest, OnlyWhatSomebodyElseDidIsAnEvent) {
  ASSERT_TRUE(sets().create(specOf("mgy4-nets")));
  sets().apply("mgy4-nets", additions({net("10.0.0.0/8")}));
  set(kFilter, "mgy-a", {{{}, Drop{}, ""}});
  flush();
  EXPECT_TRUE(driver_->takeEvents().empty());
  mustShell("nft add table ip other; nft add chain ip other c; nft add rule ip other c drop");
  EXPECT_TRUE(driver_->takeEvents().empty());
  const auto before = *rules().fingerprint(kFilter);
  mustShell("nft flush chain ip margay mgy-a");
  EXPECT_NE(*rules().fingerprint(kFilter), before);
  EXPECT_THAT(driver_->takeEvents().rules, ElementsAre(Family::V4));
  EXPECT_THAT(rules().read(kFilter)->chains.at("mgy-a"), IsEmpty());
  mustShell("nft delete element ip margay mgy4-nets { 10.0.0.0/8 }");
  EXPECT_THAT(driver_->takeEvents().sets, ElementsAre("mgy4-nets"));
  EXPECT_NE(sets().list()->at("mgy4-nets").entries, 1U) << "as if nothing had happened";
  EXPECT_THAT(*sets().members("mgy4-nets"), IsEmpty());
  mustShell("nft delete table ip margay");
  EXPECT_TRUE(driver_->takeEvents().overflow);
  EXPECT_THAT(*sets().list(), IsEmpty());
  EXPECT_THAT(rules().read(kFilter)->chains, IsEmpty());
}

TEST_F(NftKernelTest, ACommitOnWhatSomebodyElseChangedIsStale) {
  set(kFilter, "mgy-a", {{{}, Drop{}, ""}});
  flush();
  const auto expected = *rules().fingerprint(kFilter);
  mustShell("nft add rule ip margay mgy-a accept");
  TableEdit edit;
  edit.set["mgy-b"] = rulesOf({});
  const auto done = rules().commit(kFilter, edit, expected);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Stale);
  const std::vector<Rule> ours{{{}, Drop{}, ""}};
  EXPECT_THAT(rules().read(kFilter)->chains.at("mgy-a"),
              ElementsAre(rules().digests(kFilter, ours)->front(), 0));
}

TEST_F(NftKernelTest, WhatTheKernelRefusesIsNamedAndTheRestIsInForce) {
  ASSERT_TRUE(sets().create(specOf("mgy4-nets")));
  set(kFilter, "mgy-good", {{{}, Drop{}, ""}});
  set(kFilter, "mgy-bad", {{{SetMatch{"mgy4-missing", {End::Source}}}, Drop{}, ""}});
  set(kFilter, "mgy-depends", {{{}, Jump{"mgy-bad"}, ""}});
  sets().apply("mgy4-nets", std::vector<Change<SetMember>>{{Op::Remove, net("10.9.0.0/16")}});
  sets().apply("mgy4-nets", additions({net("10.0.0.0/8")}));
  std::vector<std::string> refused;
  for (const auto& refusal : driver_->flush()) refused.push_back(refusal.unit.object);
  EXPECT_THAT(refused, UnorderedElementsAre("chain mgy-bad", "chain mgy-depends", "set mgy4-nets"));
  EXPECT_THAT(rules().read(kFilter)->chains, SizeIs(1));
  EXPECT_THAT(*sets().members("mgy4-nets"), ElementsAre(net("10.0.0.0/8")));
}

TEST_F(NftKernelTest, AChainOfOthersInOurTableStays) {
  set(kFilter, "mgy-a", {{{}, Drop{}, ""}});
  flush();
  mustShell("nft add chain ip margay theirs; nft add rule ip margay theirs accept");
  TableEdit edit;
  edit.remove = {"mgy-a"};
  ASSERT_TRUE(commit(kFilter, edit));
  ASSERT_TRUE(driver_->removeTables());
  EXPECT_THAT(mustShell("nft list table ip margay"), HasSubstr("chain theirs"));
  mustShell("nft delete chain ip margay theirs");
  ASSERT_TRUE(driver_->removeTables());
  EXPECT_EQ(mustShell("nft list ruleset"), "");
}

TEST_F(NftKernelTest, AChainAndTheMapThatLeadsToItGoTogether) {
  ASSERT_TRUE(sets().create(specOf("mgy4-from", SetType::NumberMap)));
  set(kFilter, "mgy-go-one", {});
  set(kFilter, "mgy-from-dispatch",
      {{{}, LookUpChain{"mgy4-from", End::Source, {{0x2a, "mgy-go-one"}}, 0x30000}, ""}});
  sets().apply("mgy4-from", additions({on("10.0.0.1", "cali1", "0x0000002a")}));
  flush();
  TableEdit edit;
  edit.remove = {"mgy-from-dispatch", "mgy-go-one"};
  ASSERT_TRUE(commit(kFilter, edit));
  ASSERT_TRUE(sets().destroy("mgy4-from"));
  flush();
  EXPECT_EQ(mustShell("nft list table ip margay"), "table ip margay {\n}\n");
}

TEST_F(NftKernelTest, LeavesItsHooksWhileSetsAndOtherChainsStay) {
  ASSERT_TRUE(driver_->leaveHooks()) << "nothing is there yet";
  ASSERT_TRUE(sets().create(specOf("mgy4-s-web")));
  sets().apply("mgy4-s-web", additions({net("10.0.0.1")}));
  set(kFilter, "mgy-forward", {{{SetMatch{"mgy4-s-web", {End::Source}}}, Drop{}, ""}});
  TableEdit edit;
  edit.hooks[{BaseChain::Forward, Position::First}] = {{{}, Jump{"mgy-forward"}, ""}};
  ASSERT_TRUE(commit(kFilter, edit));
  flush();
  ASSERT_TRUE(driver_->leaveHooks());
  EXPECT_THAT(mustShell("nft list chain ip margay filter-forward"), Not(HasSubstr("jump")));
  EXPECT_THAT(mustShell("nft list table ip margay"),
              AllOf(HasSubstr("10.0.0.1"), HasSubstr("chain mgy-forward")));
  const auto seen = rules().read(kFilter);
  ASSERT_TRUE(seen);
  for (const auto& [place, hook] : seen->hooks) EXPECT_THAT(hook.rules, IsEmpty());
}

}  // namespace
}  // namespace margay::dataplane
