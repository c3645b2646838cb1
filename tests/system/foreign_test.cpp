#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What others have in the kernel, and what they do to what is ours.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// What is not ours, in the kernel's order: rules of both kinds, sets, routes of all tables, rules
/// of routing, permanent neighbours.
std::string foreignState(const Host& host) {
  return host.mustSh(
      "for t in raw mangle nat filter; do iptables-legacy-save -t $t; ip6tables-legacy-save -t $t; "
      "done 2>/dev/null | sed -e '/^#/d' -e 's/\\[[0-9:]*\\]//' | grep -v -e mgy -e margay: ; nft "
      "-s list table inet others; nft -s list table ip filter 2>/dev/null; ipset save | sed -e "
      "'s/initval [^ ]*//' | grep -v mgy; for f in -4 -6; do ip $f route show table all | sed -e "
      "'s/expires [^ ]*//' | grep -v -e 'proto 109' -e 'proto kernel'; ip $f rule; done; ip neigh "
      "show nud permanent | grep -v ' dev cali'; "
      "conntrack -L -s 192.0.2.60 2>/dev/null | sed 's/ [0-9]* src/ src/'");
}

class Foreign : public TwoPodsTest {
 protected:
  void SetUp() override {
    TwoPodsTest::SetUp();
    if (IsSkipped()) return;
    addPool();
    cluster().apply("deny.yaml", deny("a"));
  }
  double passes() {
    return host().metric("margay_reconcile_duration_seconds_count{controller=\"kernel\"}");
  }
};

TEST_F(Foreign, WhatOthersMadeStaysAsItIs) {
  static_cast<void>(kernelState(host()));  // makes the kernel show every table
  static_cast<void>(host().mustSh(
      "set -e; for v in iptables ip6tables; do for t in raw mangle nat filter; do $v-legacy -t $t "
      "-N others; $v-legacy -t $t -A others -j RETURN; for c in PREROUTING INPUT FORWARD OUTPUT "
      "POSTROUTING; do $v-legacy -t $t -A $c -m mark --mark 0x77/0x77 -j others 2>/dev/null || "
      "true; done; done; done; "
      "iptables-legacy -A FORWARD -s 192.0.2.1 -j ACCEPT; iptables-legacy -A FORWARD -s 192.0.2.2 "
      "-j DROP; iptables-legacy -t nat -A POSTROUTING -s 192.0.2.3 -j MASQUERADE; "
      "iptables-legacy -t raw -A PREROUTING -s 192.0.2.4 -j NOTRACK; "
      "iptables-legacy -A FORWARD -s 192.0.2.5 -m comment --comment 'not margay' -j ACCEPT; "
      "nft add table inet others; nft add set inet others s '{ type ipv4_addr; elements = { "
      "192.0.2.7 }; }'; nft add chain inet others f '{ type filter hook forward priority 0; }'; "
      "nft add rule inet others f ip saddr @s drop"));
  static_cast<void>(host().mustSh(
      "set -e; ipset create others hash:net; ipset add others 192.0.2.0/24; ipset create mg "
      "hash:ip; ipset create others6 hash:net family inet6; "
      "ip route add 198.51.100.0/24 dev eth0; ip route add 10.65.9.0/24 via 172.30.0.9 proto 80; "
      "ip route add 10.65.1.2/32 dev eth0 metric 5000; ip route add 10.65.1.2/32 dev eth0 metric "
      "5 table 109; ip route add unreachable 10.65.1.0/24 proto bird; ip route add 10.65.7.1 dev " +
      a().device() +
      " proto static; ip -6 route add fd65:0:0:1::2/128 dev eth0 metric 5000; ip -6 route add "
      "fd65:0:0:1::2/128 dev eth0 table 109; ip -6 route add fd65:0:0:9::/64 dev eth0 proto bird; "
      "ip rule add from 192.0.2.0/24 table 109 pref 500; ip -6 rule add from fd00:9::/64 table 109 "
      "pref 500; ip neigh add 172.30.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent; ip "
      "neigh add fd30::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent; conntrack -I -s "
      "192.0.2.60 -d 192.0.2.61 -p udp --sport 1 --dport 2 --timeout 600 -u ASSURED"));
  const auto theirs = foreignState(host());
  const auto before = kernelState(host());
  for (const auto* mark :
       {"NOTRACK", "192.0.2.7", "others6", "metric 5000", "table 109", "10.65.7.1",
        "fd65:0:0:9::/64", "172.30.0.77", "from fd00:9::/64", "192.0.2.61"}) {
    ASSERT_THAT(theirs, HasSubstr(mark));
  }
  host().start();
  cluster().converge();
  EXPECT_EQ(foreignState(host()), theirs) << "after the start";
  if (legacyBackend()) {  // ours is first and last; theirs are between
    EXPECT_THAT(host().mustSh("iptables-legacy -S FORWARD | sed -n 2p"), HasSubstr("margay:"));
    EXPECT_THAT(host().mustSh("iptables-legacy -S FORWARD | tail -n 1"), HasSubstr("margay:last:"));
  }
  // Before, between and behind ours, while it runs.
  static_cast<void>(
      host().mustSh("iptables-legacy -I FORWARD 2 -s 192.0.2.15 -j ACCEPT; iptables-legacy -A "
                    "FORWARD -s 192.0.2.16 -j ACCEPT; iptables-legacy -I INPUT 1 -s 192.0.2.17 -j "
                    "ACCEPT; ip route add 10.65.1.3/32 dev eth0 metric 4000; ipset create late "
                    "hash:ip; nft add rule inet others f ip saddr 192.0.2.18 drop"));
  const auto more = foreignState(host());
  cluster().apply("deny2.yaml", deny("b"));
  cluster().converge();
  static_cast<void>(host().mustSh("ip route delete 10.65.1.3/32 metric 1024 proto 109"));
  if (legacyBackend()) static_cast<void>(host().mustSh("iptables-legacy -t raw -F mgy-antispoof"));
  const auto drift = [&] { return host().metric("margay_dataplane_drift_total{table=\"route\"}"); };
  EXPECT_TRUE(eventually([&] { return drift() > 0; }));
  EXPECT_TRUE(eventually([&] { return !legacyBackend() || ruleDrift(host()) > 0; }));
  cluster().removePod(b());
  cluster().converge();
  EXPECT_EQ(foreignState(host()), more) << "after changes and repairs";
  static_cast<void>(
      host().mustSh("set -e; iptables-legacy -D FORWARD -s 192.0.2.15 -j ACCEPT; iptables-legacy "
                    "-D FORWARD -s 192.0.2.16 -j ACCEPT; iptables-legacy -D INPUT -s 192.0.2.17 -j "
                    "ACCEPT; ip route delete 10.65.1.3/32 metric 4000; ipset destroy late"));
  EXPECT_EQ(host().stop(), 0);
  const auto cleaned = host().agent("--cleanup 2>&1");
  EXPECT_EQ(cleaned.status, 0) << cleaned.output;
  static_cast<void>(
      host().mustSh("nft flush chain inet others f; nft add rule inet others f ip saddr @s drop"));
  EXPECT_EQ(foreignState(host()), theirs) << "after --cleanup";
}

TEST_F(Foreign, ARuleThatIsPutOnTopAgainAndAgainEndsInNoFight) {
  if (legacyOnly("in nftables nobody is before another by place")) return;
  host().start();
  cluster().converge();
  const auto whole = kernelState(host());
  const auto passesBefore = passes();
  const auto commitsBefore = ruleCommits(host());
  const auto begin = std::chrono::steady_clock::now();
  // One more each time that its last one is not on top, which is after each repair.
  const std::string top = "iptables-legacy -S FORWARD | sed -n 2p | grep -q ";
  const auto theirs = [](int n) { return "-s 192.0.2." + std::to_string(100 + n) + " -j ACCEPT"; };
  constexpr int kPuts = 5;
  for (int n = 0; n < kPuts; ++n) {
    static_cast<void>(host().mustSh("iptables-legacy -I FORWARD " + theirs(n)));
    EXPECT_TRUE(eventually([&] { return host().sh(top + "margay:").status == 0; },
                           std::chrono::seconds(20)));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(passes() - passesBefore, 20 + 10 * took.count());
  EXPECT_LE(ruleCommits(host()) - commitsBefore, 2 * kPuts);
  EXPECT_GE(ruleDrift(host()), kPuts);
  for (int n = 0; n < kPuts; ++n)
    static_cast<void>(host().mustSh("iptables-legacy -D FORWARD " + theirs(n)));
  EXPECT_TRUE(eventually([&] { return kernelState(host()) == whole; }, std::chrono::seconds(20)));
}

TEST_F(Foreign, OneThatFlushesOursAgainAndAgainEndsInNoFight) {
  host().start();
  cluster().converge();
  const auto whole = kernelState(host());
  const auto passesBefore = passes();
  const auto commitsBefore = ruleCommits(host());
  const auto begin = std::chrono::steady_clock::now();
  const auto fight = std::chrono::seconds(5);
  static_cast<void>(eventually(
      [&] {
        wipeRules(host());
        return false;
      },
      fight));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(passes() - passesBefore, 20 + 10 * took.count());
  EXPECT_LT(ruleCommits(host()) - commitsBefore, 20 + 8 * took.count());
  EXPECT_GT(ruleDrift(host()), 1) << "it tried, more than once";
  EXPECT_TRUE(eventually([&] { return kernelState(host()) == whole; }, std::chrono::seconds(20)));
  EXPECT_FALSE(pingReaches(b().from(), a().address(), kNoAnswer));
  EXPECT_TRUE(pingReaches(a().from(), b().address(), kPatience));
}

TEST_F(Foreign, ADataDirectoryThatIsNotThereAtTheStartLeavesTheKernelUntouched) {
  host().start();
  cluster().converge();
  EXPECT_EQ(host().stop(), 0);
  const auto whole = kernelState(host());
  const auto away = cluster().directory() / "away";
  std::filesystem::rename(cluster().dataDir(), away);
  host().start();
  const auto readiness = [&] {
    return host().sh("curl -s -w ' %{http_code}' http://127.0.0.1:9099/readiness").output;
  };
  EXPECT_TRUE(eventually([&] { return readiness().ends_with(" 503"); })) << readiness();
  nlohmann::json source;
  EXPECT_TRUE(eventually([&] {
    if (host().ctl("status").status != 0) return false;
    source = host().json("status")["sources"][0];
    return !source.value("error", "").empty();
  })) << source.dump();
  EXPECT_THAT(source.dump(), HasSubstr(cluster().dataDir().string()));
  EXPECT_NE(host().ctl("wait --timeout 1s").status, 0) << "nothing to converge to";
  EXPECT_EQ(kernelState(host()), whole) << "what was there before stays";
  EXPECT_FALSE(pingReaches(b().from(), a().address(), kNoAnswer));
  EXPECT_TRUE(pingReaches(a().from(), b().address(), kPatience));
  // It comes, with one pod less.
  std::filesystem::remove(away / b().manifestFile());
  std::filesystem::rename(away, cluster().dataDir());
  cluster().converge();
  EXPECT_TRUE(eventually([&] { return readiness().ends_with(" 200"); })) << readiness();
  EXPECT_THAT(host().mustSh("ip route"), Not(HasSubstr(b().device())));
  EXPECT_THAT(host().mustSh("ip route"), HasSubstr(a().device()));
}

}  // namespace
}  // namespace margay::system_tests
