#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/system/backend.h"
#include "tests/system/one_host.h"

/// What a kernel lacks is one line that says what and what to do, and exit 1; or the agent does
/// without it.
namespace margay::system_tests {
namespace {

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

}  // namespace
}  // namespace margay::system_tests
