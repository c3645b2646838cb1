#include <gmock/gmock.h>

#include "tests/system/backend.h"
#include "tests/system/policy_fixture.h"

namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;

/// What a rule of projectcalico.org/v3 matches in a packet.
class RuleMatch : public PolicyTest {
 protected:
  void ingress(const std::string& rules) {
    calico("NetworkPolicy", "p", "{selector: app == 'web', ingress: [" + rules + "]}");
  }
  void egress(const std::string& rules) {
    calico("NetworkPolicy", "p",
           "{selector: app == 'web', types: [Egress], egress: [" + rules + "]}");
  }
};

TEST_F(RuleMatch, NotSelectorIsEveryoneElseInTheNamespace) {
  ingress("{action: Allow, source: {notSelector: role == 'near'}}");
  expect({no(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80 udp/80 ping"),
          no(odd(), web(), "tcp/80")});
  ingress("{action: Allow, source: {namespaceSelector: all(), notSelector: role == 'near'}}");
  expect({no(near(), web(), "tcp/80 udp/80 ping"), yes(far(), web(), "tcp/80 udp/80 ping"),
          yes(odd(), web(), "tcp/80"), yes(twin(), web(), "tcp/80")});
}

TEST_F(RuleMatch, SelectorAndNotSelectorBothHold) {
  egress("{action: Allow, destination: {selector: app == 'client', notSelector: role == 'near'}}");
  expect({no(web(), near(), "tcp/80 ping"), yes(web(), far(), "tcp/80 ping"),
          no(web(), odd(), "tcp/80 ping")});
}

TEST_F(RuleMatch, NotNetsIsEverythingOutside) {
  ingress(
      "{action: Allow, ipVersion: 4, source: {notNets: [10.65.1.0/24, 10.65.2.4/32]}}, "
      "{action: Allow, ipVersion: 6, source: {notNets: [\"fd65:0:0:1::/64\", "
      "\"fd65:0:0:2::4/128\"]}}");
  expect({yes(far(), web(), "tcp/80 udp/80 ping"), no(near(), web(), "tcp/80 udp/80 ping"),
          no(odd(), web(), "tcp/80 ping")});
}

TEST_F(RuleMatch, NotPortsIsEveryOtherPort) {
  ingress("{action: Allow, protocol: TCP, destination: {notPorts: [81, \"8000:8999\"]}}");
  expect({yes(near(), web(), "tcp/80 tcp/9000"), no(near(), web(), "tcp/81 tcp/8080 udp/80 ping"),
          yes(far(), web(), "tcp/80 tcp/9000"), no(far(), web(), "tcp/81 tcp/8080")});
}

TEST_F(RuleMatch, NotProtocolIsEveryOtherProtocol) {
  ingress("{action: Allow, notProtocol: UDP}");
  expect({yes(near(), web(), "tcp/80 ping"), no(near(), web(), "udp/80"),
          yes(far(), web(), "tcp/80 ping"), no(far(), web(), "udp/80")});
}

TEST_F(RuleMatch, MoreNetsThanARuleHolds) {
  std::string four = "[10.65.2.3/32";
  std::string six = "[\"fd65:0:0:2::3/128\"";
  for (int i = 0; i < 12; ++i) {
    four += ", 192.0.2." + std::to_string(i) + "/32";
    six += ", \"2001:db8::" + std::to_string(i) + "/128\"";
  }
  ingress("{action: Allow, source: {nets: " + four + "]}}, {action: Allow, source: {nets: " + six +
          "]}}");
  expect({yes(far(), web(), "tcp/80 udp/80 ping"), no(near(), web(), "tcp/80 udp/80 ping"),
          no(odd(), web(), "tcp/80 ping")});
  egress("{action: Allow, destination: {nets: " + four +
         "]}}, {action: Allow, destination: {nets: " + six + "]}}");
  expect({yes(web(), far(), "tcp/80 ping"), no(web(), near(), "tcp/80 ping")});
}

TEST_F(RuleMatch, MoreNotNetsThanARuleHolds) {
  std::string four;
  std::string six;
  for (int i = 0; i < 12; ++i) {
    four += "192.0.2." + std::to_string(i) + "/32, ";
    six += "\"2001:db8::" + std::to_string(i) + "/128\", ";
  }
  ingress("{action: Allow, source: {notNets: [" + four + "10.65.2.3/32]}, ipVersion: 4}, " +
          "{action: Allow, source: {notNets: [" + six + "\"fd65:0:0:2::3/128\"]}, ipVersion: 6}");
  expect({no(far(), web(), "tcp/80 udp/80 ping"), yes(near(), web(), "tcp/80 udp/80 ping"),
          yes(odd(), web(), "tcp/80 ping")});
}

TEST_F(RuleMatch, MorePortsThanARuleHolds) {
  std::string ports;
  for (int i = 0; i < 20; ++i) ports += std::to_string(20000 + 2 * i) + ", ";
  for (int i = 0; i < 10; ++i) {
    const int base = 30000 + 100 * i;
    ports += '"' + std::to_string(base) + ':' + std::to_string(base + 50) + "\", ";
  }
  ingress("{action: Allow, protocol: TCP, destination: {ports: [" + ports + "\"8000:8100\", 80]}}");
  expect({yes(near(), web(), "tcp/80 tcp/8080"), no(near(), web(), "tcp/81 tcp/9000 udp/80"),
          yes(far(), web(), "tcp/80 tcp/8080"), no(far(), web(), "tcp/81 tcp/9000 udp/80")});
  ingress("{action: Allow, protocol: TCP, destination: {notPorts: [" + ports +
          "\"8000:8100\", 80]}}");
  expect({no(near(), web(), "tcp/80 tcp/8080"), yes(near(), web(), "tcp/81 tcp/9000"),
          no(far(), web(), "tcp/80 tcp/8080"), yes(far(), web(), "tcp/81 tcp/9000")});
}

TEST_F(RuleMatch, ManyPortsAndManyNetsMultiply) {
  std::string nets;
  std::string ports;
  for (int i = 0; i < 12; ++i) nets += "192.0.2." + std::to_string(i) + "/32, ";
  for (int i = 0; i < 20; ++i) ports += std::to_string(20000 + 2 * i) + ", ";
  ingress("{action: Allow, protocol: TCP, source: {nets: [" + nets +
          "10.65.2.3/32]}, destination: {ports: [" + ports + "80]}}");
  expect({yes(far(), web(), "tcp/80"), no(far(), web(), "tcp/81 udp/80"),
          no(near(), web(), "tcp/80"), no(odd(), web(), "tcp/80")},
         {Family::V4});
  expect({no(far(), web(), "tcp/80"), no(near(), web(), "tcp/80")}, {Family::V6});
}

TEST_F(RuleMatch, NamedPortsStandBesideNumbers) {
  calico("NetworkPolicy", "p",
         "{selector: all(), ingress: [{action: Allow, protocol: TCP, destination: {ports: [http, "
         "9000]}}]}");
  expect({yes(near(), web(), "tcp/80 tcp/9000"), no(near(), web(), "tcp/8080 udp/80"),
          yes(near(), far(), "tcp/8080 tcp/9000"), no(near(), far(), "tcp/80"),
          yes(web(), near(), "tcp/9000"), no(web(), near(), "tcp/80 tcp/8080")});
}

TEST_F(RuleMatch, NegatedNamedPorts) {
  calico("NetworkPolicy", "p",
         "{selector: all(), ingress: [{action: Allow, protocol: TCP, destination: {notPorts: "
         "[http]}}]}");
  expect({no(near(), web(), "tcp/80"), yes(near(), web(), "tcp/8080 tcp/81"),
          no(near(), far(), "tcp/8080"), yes(near(), far(), "tcp/80 tcp/81"),
          yes(web(), near(), "tcp/80")});
}

TEST_F(RuleMatch, IcmpTypeAndCode) {
  ingress(
      "{action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}}, "
      "{action: Allow, protocol: ICMPv6, icmp: {type: 128, code: 0}}");
  expect({yes(near(), web(), "ping"), yes(far(), web(), "ping"), no(near(), web(), "tcp/80")});
  ingress(
      "{action: Allow, protocol: ICMP, icmp: {type: 8, code: 1}}, "
      "{action: Allow, protocol: ICMPv6, icmp: {type: 129}}");
  expect({no(near(), web(), "ping"), no(far(), web(), "ping")});
}

TEST_F(RuleMatch, NotIcmpIsEveryOtherType) {
  ingress(
      "{action: Allow, protocol: ICMP, notICMP: {type: 8}}, "
      "{action: Allow, protocol: ICMPv6, notICMP: {type: 128, code: 0}}");
  expect({no(near(), web(), "ping"), no(far(), web(), "ping")});
  ingress(
      "{action: Allow, protocol: ICMP, notICMP: {type: 13}}, "
      "{action: Allow, protocol: ICMPv6, notICMP: {type: 1, code: 4}}");
  expect({yes(near(), web(), "ping"), yes(far(), web(), "ping")});
}

TEST_F(RuleMatch, IpVersionOfARule) {
  ingress("{action: Allow, ipVersion: 4}");
  expect({yes(near(), web(), "tcp/80 ping"), yes(far(), web(), "tcp/80")}, {Family::V4});
  expect({no(near(), web(), "tcp/80 ping"), no(far(), web(), "tcp/80")}, {Family::V6});
}

TEST_F(RuleMatch, SctpWithManyPortsIsARuleOfBothFamilies) {
  ingress("{action: Allow, protocol: SCTP, destination: {ports: [3868, \"4000:4010\"]}}");
  expect({no(near(), web(), "tcp/80")});
  for (const auto family : {Family::V4, Family::V6})
    EXPECT_THAT(rulesText(one(), family),
                ContainsRegex("sctp [^\n]*3868(, ?4000:4010|[^\n]*\n[^\n]*4000-4010)"));
}

TEST_F(RuleMatch, SourcePortsHold) {
  ingress("{action: Allow, protocol: UDP, source: {ports: [5353]}}");
  cluster().converge();
  for (const auto family : {Family::V4, Family::V6}) {
    EXPECT_TRUE(udpReaches({&far().ns(), {}, 5353}, web().address(family), 80, kPatience));
    EXPECT_FALSE(udpReaches({&far().ns(), {}, 5354}, web().address(family), 80, kNoAnswer));
  }
}

}  // namespace
}  // namespace margay::system_tests
