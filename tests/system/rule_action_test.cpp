#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What FELIX_ parameters make of a verdict, with each rule backend.
namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;

class RuleAction : public TwoPodsTest {
 protected:
  void start(const Environment& environment) {
    host().start(environment);
    cluster().converge();
  }
  /// What a connection from b to a port of a ends with: 0, or the error's number.
  int connectError(Family family, std::uint16_t port) {
    const int fd = socketIn(b().from(), family, SOCK_STREAM, 0);
    const auto to = socketAddress(a().address(family), port);
    int error = connect(fd, to.get(), to.size) == 0 ? 0 : errno;
    pollfd writable{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (error == EINPROGRESS && poll(&writable, 1, static_cast<int>(kPatience.count())) == 1)
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    close(fd);
    return error;
  }
};

TEST_F(RuleAction, ADeniedConnectionIsRefusedAtOnceWhereDenyIsReject) {
  cluster().apply("deny.yaml", deny("a"));
  start({{"FELIX_IPTABLESFILTERDENYACTION", "REJECT"}});
  for (const auto family : {Family::V4, Family::V6})
    EXPECT_EQ(connectError(family, 80), ECONNREFUSED) << rulesText(host(), family);
}

TEST_F(RuleAction, LogsHaveTheirPrefixAndTheirRate) {
  cluster().apply("log.yaml",
                  "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: log, "
                  "namespace: default}\nspec: {selector: app == 'a', ingress: [{action: Log}, "
                  "{action: Allow}]}\n");
  start({{"FELIX_LOGPREFIX", "seen"},
         {"FELIX_LOGACTIONRATELIMIT", "10/minute"},
         {"FELIX_LOGACTIONRATELIMITBURST", "7"}});
  for (const auto family : {Family::V4, Family::V6})
    EXPECT_THAT(
        rulesText(host(), family),
        ContainsRegex(legacyBackend()
                          ? "--limit 10/min --limit-burst 7 [^\n]*-j LOG --log-prefix \"seen"
                          : "limit rate 10/minute burst 7 packets log prefix \"seen"));
  const EchoServer server(a().ns(), 80);
  EXPECT_TRUE(tcpReaches(b().from(), a().address(), 80, kPatience));
}

TEST_F(RuleAction, PodsLeaveThroughRandomPortsOfTheRangeThatIsOrdered) {
  addPool();
  start({{"FELIX_NATPORTRANGE", "40000:40999"}});
  EXPECT_THAT(
      rulesText(host(), Family::V4),
      ContainsRegex(legacyBackend() ? "-p tcp -j MASQUERADE --to-ports 40000-40999 --random-fully"
                                    : "tcp masquerade to :40000-40999 fully-random"));
}

TEST_F(RuleAction, MarksAreOfTheMaskThatIsOrderedAndOthersStay) {
  start({{"FELIX_IPTABLESMARKMASK", "0x1f00000"}});
  const auto rules = rulesText(host(), Family::V4);
  EXPECT_THAT(rules, ::testing::HasSubstr(legacyBackend() ? "0x100000/0x100000" : "0x00100000"));
  EXPECT_THAT(rules, ::testing::Not(::testing::HasSubstr("0x10000/")));
  EXPECT_THAT(rules, ::testing::Not(::testing::HasSubstr("0x00010000")));
  // A mark that somebody else sets before us is there behind us.
  static_cast<void>(host().mustSh(
      "nft 'table ip other { counter passed { }; chain before { type filter hook prerouting "
      "priority raw; meta mark set 0x2a; }; chain behind { type filter hook forward priority 50; "
      "meta mark & 0xff == 0x2a counter name passed; }; }'"));
  const EchoServer server(a().ns(), 80);
  EXPECT_TRUE(tcpReaches(b().from(), a().address(), 80, kPatience));
  EXPECT_THAT(host().mustSh("nft list counter ip other passed"),
              ContainsRegex("packets [1-9][0-9]* bytes"));
}

}  // namespace
}  // namespace margay::system_tests
