#include <gmock/gmock.h>
#include <netinet/in.h>
#include <rapidcheck.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netfilter_ipv4/ip_tables.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "dataplane/iptables_driver.h"
#include "dataplane/xtables_lock.h"
#include "dataplane/xtables_session.h"
#include "dataplane/xtables_socket.h"
#include "tests/dataplane/iptables_generators.h"
#include "tests/dataplane/network_namespace.h"

/// What only the real kernel can say: that it takes what we encode, gives it back as we digest it,
/// and that iptables-save reads it as ruleText writes it.
namespace margay::dataplane {
namespace {

using ::testing::HasSubstr;
using testing::mustShell;
using testing::shell;

ChainRules rulesOf(std::vector<Rule> rules) {
  return std::make_shared<const std::vector<Rule>>(std::move(rules));
}

class IptablesKernelTest : public testing::NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    if (IsSkipped()) return;
    for (const auto family : {Family::V4, Family::V6})
      if (const auto probed = probeLegacyTables(family); !probed)
        GTEST_SKIP() << probed.error().what;
    lock_ = "/tmp/margay-iptables-test." + std::to_string(getpid()) + ".lock";
    auto opened = IptablesDriver::open({.lockPath = lock_});
    ASSERT_TRUE(opened) << opened.error().what;
    driver_.emplace(std::move(*opened));
    mustShell(
        "ipset create mgy4-a hash:net; ipset create mgy4-b hash:net;"
        "ipset create mgy6-a hash:net family inet6; ipset create mgy6-b hash:net family inet6");
  }
  void TearDown() override {
    unlink(lock_.c_str());
    NetworkNamespaceTest::TearDown();
  }
  static std::vector<std::string> setsOf(Family family) {
    if (family == Family::V4) return {"mgy4-a", "mgy4-b"};
    return {"mgy6-a", "mgy6-b"};
  }
  Result<TableFingerprint> commit(TableId table, const TableEdit& edit) {
    const auto fingerprint = driver_->fingerprint(table);
    if (!fingerprint) return Fail(fingerprint.error());
    return driver_->commit(table, edit, *fingerprint);
  }
  static std::vector<std::string> savedRules(TableId table, const ChainName& chain) {
    const std::string tool =
        table.family == Family::V4 ? "iptables-legacy-save" : "ip6tables-legacy-save";
    std::istringstream lines(mustShell(tool + " -t " + std::string(tableText(table.table))));
    std::vector<std::string> out;
    const auto prefix = "-A " + chain + ' ';
    for (std::string line; std::getline(lines, line);)
      if (line.rfind(prefix, 0) == 0) out.push_back(line.substr(prefix.size()));
    return out;
  }
  void roundTrips(TableId table);

  std::string lock_;
  std::optional<IptablesDriver> driver_;
};

void IptablesKernelTest::roundTrips(TableId table) {
  const auto rules = *rc::gen::container<std::vector<Rule>>(
      testing::iptablesRule(table, {"mgy-x", "mgy-y"}, setsOf(table.family)));
  const auto digests = driver_->digests(table, rules);
  RC_ASSERT(digests.has_value());
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf(rules);
  edit.set["mgy-x"] = edit.set["mgy-y"] = rulesOf({});
  const auto done = commit(table, edit);
  if (!done) RC_FAIL(done.error().what);
  const auto observed = driver_->read(table);
  RC_ASSERT(observed.has_value());
  RC_ASSERT(observed->fingerprint == *done);
  RC_ASSERT(observed->chains.at("mgy-a") == *digests);

  std::vector<std::string> texts;
  for (const auto& rule : rules) texts.push_back(ruleText(rule, table.family));
  RC_ASSERT(savedRules(table, "mgy-a") == texts);
}

class IptablesRoundTripTest : public IptablesKernelTest,
                              public ::testing::WithParamInterface<TableId> {};

TEST_P(IptablesRoundTripTest, ReadsBackWhatItCommittedAndIptablesSaveAgrees) {
  EXPECT_TRUE(rc::check([this] { roundTrips(GetParam()); }));
}

std::vector<TableId> allTables() {
  std::vector<TableId> out;
  for (const auto family : {Family::V4, Family::V6})
    for (const auto table : {TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter})
      out.push_back({family, table});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Tables, IptablesRoundTripTest, ::testing::ValuesIn(allTables()),
                         [](const auto& tested) {
                           return std::string(tableText(tested.param.table)) +
                                  (tested.param.family == Family::V4 ? "4" : "6");
                         });

constexpr TableId kFilter{Family::V4, TableName::Filter};
constexpr HookKey kFirst{BaseChain::Forward, Position::First};
constexpr HookKey kLast{BaseChain::Forward, Position::Last};

Rule markRule(std::uint32_t mark, Action action = Return{}, std::string comment = "") {
  return {{MarkMatch{mark}}, std::move(action), std::move(comment)};
}

/// Chains that jump to each other, and hooks at both ends.
TableEdit someRules() {
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf({markRule(1, Jump{"mgy-b"})});
  edit.set["mgy-b"] = rulesOf({markRule(2, Drop{})});
  edit.hooks[kFirst] = {markRule(3, Jump{"mgy-a"}, "margay: first")};
  edit.hooks[kLast] = {markRule(4, Accept{}, "margay: last")};
  return edit;
}
TableEdit cleanup() {
  TableEdit edit;
  edit.remove = {"mgy-a", "mgy-b"};
  edit.hooks[kFirst] = edit.hooks[kLast] = {};
  return edit;
}

/// Everything that the kernel holds of the IPv4 filter table, counters included.
std::vector<char> rawTable() {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  ipt_getinfo info{};
  std::strcpy(info.name, "filter");
  socklen_t size = sizeof info;
  EXPECT_EQ(getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size), 0);
  std::vector<char> out(sizeof(ipt_get_entries) + info.size);
  ipt_get_entries header{};
  std::strcpy(header.name, "filter");
  header.size = info.size;
  std::memcpy(out.data(), &header, sizeof header);
  size = static_cast<socklen_t>(out.size());
  EXPECT_EQ(getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, out.data(), &size), 0);
  close(fd);
  return out;
}

TEST_F(IptablesKernelTest, LeavesATableByteForByteAsItWasAfterACleanup) {
  mustShell(
      "iptables-legacy -N KUBE-X; iptables-legacy -N ZZ; iptables-legacy -A FORWARD -j KUBE-X;"
      "iptables-legacy -A FORWARD -p udp -m string --algo bm --string abc -j DROP;"
      "iptables-legacy -A KUBE-X -m statistic --mode random --probability 0.5 -j ZZ;"
      "iptables-legacy -P FORWARD DROP; iptables-legacy -A INPUT -g ZZ");
  const auto before = rawTable();
  ASSERT_TRUE(commit(kFilter, someRules()));
  mustShell("iptables-legacy -I FORWARD 2 -s 10.9.9.9 -j RETURN");
  EXPECT_NE(rawTable(), before);
  mustShell("iptables-legacy -D FORWARD 2");
  const auto cleaned = commit(kFilter, cleanup());
  ASSERT_TRUE(cleaned) << cleaned.error().what;
  EXPECT_EQ(rawTable(), before);
}

TEST_F(IptablesKernelTest, KeepsTheCountersOfTheRulesOfOthers) {
  mustShell(
      "iptables-legacy -A OUTPUT -d 127.0.0.7 -j ACCEPT; iptables-legacy -A FORWARD -j RETURN;"
      "ping -c 3 -i 0.01 -W 1 127.0.0.7 >/dev/null");
  const auto counted = mustShell("iptables-legacy-save -c -t filter | grep 127.0.0.7");
  ASSERT_THAT(counted, ::testing::Not(HasSubstr("[0:0]")));
  ASSERT_TRUE(commit(kFilter, someRules()));
  EXPECT_EQ(mustShell("iptables-legacy-save -c -t filter | grep 127.0.0.7"), counted);
}

TEST_F(IptablesKernelTest, CountsRulesOfOthersWithoutKnowingTheirMatches) {
  mustShell(
      "iptables-legacy -N X; iptables-legacy -A X -m string --algo bm --string abc -j LOG;"
      "iptables-legacy -A FORWARD -m hashlimit --hashlimit-upto 5/s --hashlimit-name h -j X");
  ASSERT_TRUE(commit(kFilter, someRules()));
  const auto observed = driver_->read(kFilter);
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->foreignRules, 2);
  EXPECT_EQ(observed->chains.size(), 2);
}

TEST_F(IptablesKernelTest, DigestsASetByItsNameAlsoAfterItWasMadeAnew) {
  const std::vector<Rule> rules{{{SetMatch{"mgy4-b", {End::Source}}}, Drop{}, ""}};
  TableEdit edit;
  edit.set["mgy-a"] = rulesOf(rules);
  ASSERT_TRUE(commit(kFilter, edit));
  const auto before = driver_->read(kFilter)->chains;
  TableEdit removal;
  removal.remove = {"mgy-a"};
  ASSERT_TRUE(commit(kFilter, removal));
  mustShell("ipset destroy mgy4-a; ipset destroy mgy4-b; ipset create mgy4-b hash:net");
  ASSERT_TRUE(commit(kFilter, edit));
  EXPECT_EQ(driver_->read(kFilter)->chains, before);
}

TEST_F(IptablesKernelTest, SeesARuleThatTrafficPassedAsTheSameRule) {
  TableEdit edit;
  edit.hooks[{BaseChain::Output, Position::First}] = {
      {{RateLimitMatch{10, RateUnit::Second, 7}, ConntrackMatch{.isNew = true}},
       Return{},
       "margay: l"}};
  ASSERT_TRUE(commit(kFilter, edit));
  const auto before = driver_->read(kFilter)->hooks;
  mustShell("ping -c 3 -i 0.01 -W 1 127.0.0.1 >/dev/null");
  EXPECT_EQ(driver_->read(kFilter)->hooks, before);
}

TEST_F(IptablesKernelTest, SeesTheSameRulesAfterIptablesSavedAndRestoredThem) {
  ASSERT_TRUE(commit(kFilter, someRules()));
  const auto before = driver_->read(kFilter);
  mustShell("iptables-legacy-save -t filter | iptables-legacy-restore");
  const auto after = driver_->read(kFilter);
  EXPECT_EQ(after->chains, before->chains);
  EXPECT_EQ(after->hooks, before->hooks);
}

TEST_F(IptablesKernelTest, NamesTheLockThatAnotherProgramHolds) {
  auto impatient =
      IptablesDriver::open({.lockPath = lock_, .lockTimeout = std::chrono::milliseconds{5}});
  const auto held = xtables::Lock::acquire(lock_, std::chrono::milliseconds{0});
  ASSERT_TRUE(held);
  const auto done = impatient->commit(kFilter, someRules(), *driver_->fingerprint(kFilter));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Transient);
  EXPECT_THAT(done.error().what, HasSubstr(lock_));
  EXPECT_TRUE(driver_->read(kFilter)->chains.empty());
}

TEST_F(IptablesKernelTest, WaitsForTheLockUntilItIsFree) {
  std::optional<xtables::Lock> held =
      xtables::Lock::acquire(lock_, std::chrono::milliseconds{0}).value();
  std::atomic<bool> waiting = false;
  std::thread other([&] {
    while (!waiting) std::this_thread::yield();
    held.reset();
  });
  waiting = true;
  EXPECT_TRUE(commit(kFilter, someRules()));
  other.join();
}

TEST_F(IptablesKernelTest, WritesTheLastHookAsSuchAndRefusesAFirstOneThatLooksLikeIt) {
  ASSERT_TRUE(commit(kFilter, someRules()));
  EXPECT_THAT(savedRules(kFilter, "FORWARD").back(), HasSubstr("margay:last: last"));
  TableEdit edit;
  edit.hooks[kFirst] = {markRule(1, Accept{}, "margay:last: x")};
  EXPECT_EQ(commit(kFilter, edit).error().code, Errc::Invalid);
}

TEST_F(IptablesKernelTest, KnowsAWriterWhoDoesNotTakeTheLockByTheNumberOfRules) {
  const auto socket = xtables::TableSocket::open(kFilter.family);
  ASSERT_TRUE(socket);
  auto entries = socket->entries(kFilter.table);
  ASSERT_TRUE(entries);
  auto image = xtables::TableImage::parse(std::move(*entries), kFilter.family);
  ASSERT_TRUE(image) << image.error().what;
  mustShell("iptables-legacy -A FORWARD -s 10.9.9.9 -j RETURN");
  image->createChain("mgy-a");
  const auto written = socket->replace(kFilter.table, image->compile());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::Stale);
  EXPECT_TRUE(driver_->read(kFilter)->chains.empty());
}

TEST_F(IptablesKernelTest, SaysWhatIsMissingWithoutCapabilities) {
  // A child that gives up its rights for good; its exit code is the result.
  const pid_t child = fork();
  if (child == 0) {
    const bool dropped = setresuid(65534, 65534, 65534) == 0;
    const auto probed = probeLegacyTables(Family::V4);
    const bool right = dropped && !probed && probed.error().code == Errc::Unsupported &&
                       probed.error().what.find("CAP_NET_RAW") != std::string::npos;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(IptablesKernelTest, ProbesWithoutMakingATable) {
  ASSERT_TRUE(probeLegacyTables(Family::V4));
  EXPECT_EQ(shell("cat /proc/net/ip_tables_names").output, "");
}

TEST_F(IptablesKernelTest, RefusesRulesThatIptablesCannotHoldAndSaysWhy) {
  const auto why = [&](Rule rule) {
    const auto got = driver_->digests(kFilter, {&rule, 1});
    return got ? std::string("accepted") : got.error().what;
  };
  const Match tcp = ProtocolMatch{IPPROTO_TCP};
  EXPECT_THAT(why({{PortsMatch{End::Source, {{1, 1}}}}, Drop{}, ""}), HasSubstr("protocol"));
  EXPECT_THAT(why({{tcp, PortsMatch{End::Source, std::vector<PortRange>(8, {1, 2})}}, Drop{}, ""}),
              HasSubstr("15"));
  EXPECT_THAT(why({{tcp, tcp}, Drop{}, ""}), HasSubstr("one protocol"));
  EXPECT_THAT(why({{IcmpMatch{8}}, Drop{}, ""}), HasSubstr("ICMP"));
  EXPECT_THAT(why({{NetMatch{End::Source, *Prefix::parseNetwork("fd00::/8")}}, Drop{}, ""}),
              HasSubstr("family"));
  EXPECT_THAT(why({{InterfaceMatch{Side::In, "sixteen-bytes-xx"}}, Drop{}, ""}),
              HasSubstr("15 bytes"));
  EXPECT_THAT(why({{ConntrackMatch{}}, Drop{}, ""}), HasSubstr("state"));
  EXPECT_THAT(why({{RateLimitMatch{0}}, Drop{}, ""}), HasSubstr("rate"));
  EXPECT_THAT(why({{}, Jump{std::string(29, 'x')}, ""}), HasSubstr("28 bytes"));
  EXPECT_THAT(why({{}, LogPacket{std::string(30, 'x')}, ""}), HasSubstr("29 bytes"));
  EXPECT_THAT(why({{}, Drop{}, std::string(256, 'x')}), HasSubstr("255 bytes"));
  EXPECT_THAT(why({{}, Masquerade{PortRange{1, 2}}, ""}), HasSubstr("protocol"));
}

}  // namespace
}  // namespace margay::dataplane
