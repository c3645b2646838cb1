#include <gtest/gtest.h>
#include <netinet/in.h>

#include "dataplane/model/rule.h"

namespace margay::dataplane {
namespace {

Prefix net(const char* text) {
  return *Prefix::parseNetwork(text);
}
std::string v4(std::vector<Match> matches, Action action = Accept{}) {
  return ruleText({std::move(matches), std::move(action), ""}, Family::V4);
}
std::string v6(std::vector<Match> matches, Action action = Accept{}) {
  return ruleText({std::move(matches), std::move(action), ""}, Family::V6);
}

TEST(RuleText, PutsConditionsWithoutExtensionFirstInTheOrderOfIptablesSave) {
  EXPECT_EQ(
      v4({MarkMatch{0x10000, 0x10000}, ProtocolMatch{IPPROTO_TCP},
          InterfaceMatch{Side::Out, "eth0"}, InterfaceMatch{Side::In, "cali", NameMatch::Prefix},
          NetMatch{End::Destination, net("10.0.0.1")}, NetMatch{End::Source, net("10.1.0.0/16")}}),
      "-s 10.1.0.0/16 -d 10.0.0.1/32 -i cali+ -o eth0 -p tcp -m mark --mark 0x10000/0x10000 "
      "-j ACCEPT");
}

TEST(RuleText, WritesNegations) {
  EXPECT_EQ(v4({NetMatch{End::Source, net("10.0.0.0/8"), Sense::IsNot},
                InterfaceMatch{Side::In, "lo", NameMatch::Exact, Sense::IsNot},
                ProtocolMatch{IPPROTO_UDP, Sense::IsNot}}),
            "! -s 10.0.0.0/8 ! -i lo ! -p udp -j ACCEPT");
  EXPECT_EQ(
      v4({SetMatch{"mgy4-a", {End::Source}, Sense::IsNot}, MarkMatch{1, 0xffffffff, Sense::IsNot}}),
      "-m set ! --match-set mgy4-a src -m mark ! --mark 0x1 -j ACCEPT");
}

TEST(RuleText, LeavesOutTheNetworkOfEverythingUnlessNegated) {
  EXPECT_EQ(v4({NetMatch{End::Source, net("0.0.0.0/0")}}), "-j ACCEPT");
  EXPECT_EQ(v6({NetMatch{End::Destination, net("::/0"), Sense::IsNot}}), "! -d ::/0 -j ACCEPT");
}

TEST(RuleText, WritesASecondNetworkOfOneEndAsARange) {
  EXPECT_EQ(v4({NetMatch{End::Source, net("10.0.0.0/8")},
                NetMatch{End::Source, net("10.1.0.0/16"), Sense::IsNot}}),
            "-s 10.0.0.0/8 -m iprange ! --src-range 10.1.0.0-10.1.255.255 -j ACCEPT");
}

TEST(RuleText, WritesPorts) {
  EXPECT_EQ(
      v4({ProtocolMatch{IPPROTO_TCP}, PortsMatch{End::Destination, {{80, 80}, {8000, 8080}}}}),
      "-p tcp -m multiport --dports 80,8000:8080 -j ACCEPT");
  EXPECT_EQ(v4({ProtocolMatch{IPPROTO_SCTP}, PortsMatch{End::Source, {{1, 1}}, Sense::IsNot}}),
            "-p sctp -m multiport ! --sports 1 -j ACCEPT");
}

TEST(RuleText, WritesIcmpByFamily) {
  EXPECT_EQ(v4({ProtocolMatch{IPPROTO_ICMP}, IcmpMatch{3, 1}}),
            "-p icmp -m icmp --icmp-type 3/1 -j ACCEPT");
  EXPECT_EQ(v6({ProtocolMatch{IPPROTO_ICMPV6}, IcmpMatch{135, std::nullopt, Sense::IsNot}}),
            "-p ipv6-icmp -m icmp6 ! --icmpv6-type 135 -j ACCEPT");
}

TEST(RuleText, WritesSetsStatesAndLimits) {
  EXPECT_EQ(v4({SetMatch{"mgy4-dispatch", {End::Source, End::Source}},
                ConntrackMatch{.established = true, .related = true}}),
            "-m set --match-set mgy4-dispatch src,src -m conntrack --ctstate RELATED,ESTABLISHED "
            "-j ACCEPT");
  EXPECT_EQ(v4({RateLimitMatch{10, RateUnit::Minute, 20}}),
            "-m limit --limit 10/min --limit-burst 20 -j ACCEPT");
  EXPECT_EQ(v4({RateLimitMatch{3600, RateUnit::Hour, 5}}), "-m limit --limit 1/sec -j ACCEPT");
}

TEST(RuleText, WritesActions) {
  EXPECT_EQ(v4({}, Drop{}), "-j DROP");
  EXPECT_EQ(v4({}, Return{}), "-j RETURN");
  EXPECT_EQ(v4({}, NoTrack{}), "-j CT --notrack");
  EXPECT_EQ(v4({}, Jump{"mgy-a"}), "-j mgy-a");
  EXPECT_EQ(v4({}, GoTo{"mgy-a"}), "-g mgy-a");
  EXPECT_EQ(v4({}, Reject{}), "-j REJECT --reject-with icmp-port-unreachable");
  EXPECT_EQ(v6({}, Reject{}), "-j REJECT --reject-with icmp6-port-unreachable");
  EXPECT_EQ(v4({}, SetMark{0x10000, 0x30000}), "-j MARK --set-xmark 0x10000/0x30000");
  EXPECT_EQ(v4({}, LogPacket{"policy: ", 5}), "-j LOG --log-prefix \"policy: \" --log-level 5");
  EXPECT_EQ(v4({}, LogPacket{"drop", 4}), "-j LOG --log-prefix drop");
  EXPECT_EQ(v4({}, Masquerade{}), "-j MASQUERADE --random-fully");
  EXPECT_EQ(v4({ProtocolMatch{IPPROTO_TCP}}, Masquerade{PortRange{1024, 65535}, false}),
            "-p tcp -j MASQUERADE --to-ports 1024-65535");
  EXPECT_EQ(v4({}, SourceNat{*Address::parse("192.0.2.1"), {}, false}),
            "-j SNAT --to-source 192.0.2.1");
  EXPECT_EQ(v6({ProtocolMatch{IPPROTO_UDP}},
               SourceNat{*Address::parse("2001:db8::1"), PortRange{1, 9}, true}),
            "-p udp -j SNAT --to-source [2001:db8::1]:1-9 --random-fully");
}

TEST(RuleText, PutsTheCommentLastAndQuotesIt) {
  const Rule rule{{ProtocolMatch{IPPROTO_TCP}, MarkMatch{1}}, Accept{}, R"(margay: "a" \ b's)"};
  EXPECT_EQ(ruleText(rule, Family::V4),
            R"(-p tcp -m mark --mark 0x1 -m comment --comment "margay: \"a\" \\ b\'s" -j ACCEPT)");
  EXPECT_EQ(ruleText({{}, Accept{}, "plain-1"}, Family::V4),
            "-m comment --comment plain-1 -j ACCEPT");
}

}  // namespace
}  // namespace margay::dataplane
