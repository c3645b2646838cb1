#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What a kernel lacks is one line that says what and what to do, and exit 1; or the agent does
/// without it.
namespace margay::system_tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class KernelFeatures : public OneHostTest {
 protected:
  /// `margay-node --once` on a kernel that lacks these.
  ShellResult onceWithout(const std::vector<std::string>& features, const std::string& backend) {
    std::string command =
        "env FELIX_IPTABLESBACKEND=" + backend +
        " NODENAME=one DATASTORE_TYPE=file MARGAY_DATA_DIR=" + cluster().dataDir().string() +
        " MARGAY_RUN_DIR=" + host().runDir().string();
    for (const auto& feature : features) command += " " LACKING " " + feature;
    return host().sh(command + " " MARGAY_NODE " --once 2>&1");
  }
  /// One line on stderr, with these words, and exit 1; nothing was begun in the kernel.
  void refuses(const std::vector<std::string>& features, const std::string& backend,
               const std::vector<std::string>& words) {
    const auto got = onceWithout(features, backend);
    EXPECT_EQ(got.status, 1) << got.output;
    for (const auto& word : words) EXPECT_THAT(got.output, HasSubstr(word));
    EXPECT_EQ(std::count(got.output.begin(), got.output.end(), '\n'), 1) << got.output;
    // Looked at afterwards: to look makes tables, of which /proc would tell although this kernel
    // has none.
    EXPECT_THAT(kernelState(host()), Not(HasSubstr("mgy")));
  }
};

TEST_F(KernelFeatures, WithoutIpsetLegacyTablesAreRefusedInOneLine) {
  refuses({"ipset"}, "Legacy", {"ipset: the kernel has none", "modprobe ip_set"});
}

TEST_F(KernelFeatures, WithoutLegacyTablesTheirBackendIsRefusedInOneLine) {
  refuses({"legacy-tables"}, "Legacy",
          {"legacy iptables for IPv4: not in this kernel", "use the nftables backend"});
}

TEST_F(KernelFeatures, WithoutNfTablesTheirBackendIsRefusedInOneLine) {
  refuses({"nf-tables"}, "NFT", {"the kernel has no nf_tables"});
}

TEST_F(KernelFeatures, WithNeitherBackendAutoIsRefusedInOneLine) {
  refuses({"legacy-tables", "nf-tables"}, "Auto", {"the kernel has no nf_tables"});
}

TEST_F(KernelFeatures, AutoTakesNftablesWhereTheKernelHasNoLegacyTables) {
  pod("a", 2);
  for (const std::string feature : {"legacy-tables", "ipset"}) {
    const auto got = onceWithout({feature}, "Auto");
    EXPECT_EQ(got.status, 0) << got.output;
    EXPECT_THAT(host().mustSh("nft list table ip margay"), HasSubstr("10.65.1.2"));
    EXPECT_THAT(host().mustSh("iptables-legacy-save"), Not(HasSubstr("mgy-")));
    EXPECT_EQ(host().agent("--cleanup").status, 0);
  }
}

TEST_F(KernelFeatures, AutoTakesLegacyTablesWhereTheKernelHasNoNfTables) {
  pod("a", 2);
  const auto got = onceWithout({"nf-tables"}, "Auto");
  EXPECT_EQ(got.status, 0) << got.output;
  EXPECT_THAT(host().mustSh("iptables-legacy-save"), HasSubstr("mgy-"));
  EXPECT_THAT(host().mustSh("ipset list mgy4-local"), HasSubstr("10.65.1.2"));
}

TEST_F(KernelFeatures, ChecksystemSaysWhatTheHostHas) {
  const auto check = [&](const std::string& how) {
    return host().sh(how + " " MARGAYCTL " checksystem 2>&1");
  };
  auto got = check("");
  EXPECT_EQ(got.status, 0) << got.output;
  EXPECT_THAT(got.output, HasSubstr("Margay can run here, with legacy tables or nf_tables."));
  EXPECT_THAT(got.output, Not(HasSubstr("missing")));
  got = check(LACKING " ipset");
  EXPECT_EQ(got.status, 0) << got.output;
  EXPECT_THAT(got.output, ContainsRegex("\nipset +missing +ipset: the kernel has none"));
  EXPECT_THAT(got.output, HasSubstr("Margay can run here, with nf_tables."));
  got = check(LACKING " legacy-tables " LACKING " nf-tables");
  EXPECT_EQ(got.status, 1) << got.output;
  EXPECT_THAT(got.output, HasSubstr("Margay cannot run here: it needs legacy tables with ipset"));
  got = check("setpriv --bounding-set=-net_admin");
  EXPECT_EQ(got.status, 1) << got.output;
  EXPECT_THAT(got.output, ContainsRegex("\nrights +missing +no CAP_NET_ADMIN: run as root"));
}

TEST_F(KernelFeatures, ChecksystemNamesFiltersOfOthersThatWouldDropWhatPolicyAllows) {
  const auto made = host().sh(
      "nft 'add table inet wall; add chain inet wall through { type filter hook forward priority "
      "0; "
      "policy drop; }'");
  ASSERT_EQ(made.status, 0) << made.output;
  const auto got = host().sh(MARGAYCTL " checksystem -o json");
  EXPECT_EQ(got.status, 0) << "the agent can run: " << got.output;
  const auto said = nlohmann::json::parse(got.output);
  EXPECT_TRUE(said["fits"]);
  EXPECT_EQ(said["checks"].back()["result"], "warning");
  EXPECT_THAT(said["checks"].back()["detail"], HasSubstr("chain through of table inet wall drops"));
}

}  // namespace
}  // namespace margay::system_tests
