#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/system/backend.h"
#include "tests/system/cluster.h"

/// The agent as manifests/kubernetes/daemonset.yaml runs it: root with two capabilities, and a
/// /proc/sys that cannot be written.
namespace margay::system_tests {
namespace {

using ::testing::HasSubstr;

class Container : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    if (IsSkipped()) return;
    host_ = &cluster().addHost("one");
    cluster().addNamespace("default");
    pod_ = &cluster().addPod(*host_, {.name = "a", .addresses = {"10.65.1.2"}});
  }
  /// `margay-node --once` in there; `variables` are as typed to a shell.
  ShellResult runOnce(const std::string& variables) {
    const auto tree = (cluster().directory() / "host-sys").string();
    return host_->sh(
        "unshare --mount sh -ec 'mkdir -p " + tree + "/net; mount --bind /proc/sys/net " + tree +
        "/net; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec setpriv "
        "--bounding-set=-all,+net_admin,+net_raw env NODENAME=one MARGAY_DATA_DIR=" +
        cluster().dataDir().string() + " MARGAY_RUN_DIR=" + host_->runDir().string() +
        " FELIX_IPTABLESBACKEND=" + backend() + ' ' + variables + " " MARGAY_NODE " --once 2>&1'");
  }
  std::string proxyArp() {
    return host_->mustSh("cat /proc/sys/net/ipv4/conf/" + pod_->device() + "/proxy_arp");
  }
  std::string sysctlTree() { return (cluster().directory() / "host-sys").string(); }
  Host& host() { return *host_; }
  Pod& pod() { return *pod_; }

 private:
  Host* host_ = nullptr;
  Pod* pod_ = nullptr;
};

TEST_F(Container, WithTwoCapabilitiesProgramsEverythingOfTheNode) {
  static_cast<void>(host().mustSh("sysctl -qw net.ipv4.conf." + pod().device() + ".proxy_arp=0"));
  const auto done = runOnce("MARGAY_SYSCTL_DIR=" + sysctlTree());
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(proxyArp(), "1\n");
  EXPECT_THAT(host().mustSh("ip route"), HasSubstr("10.65.1.2 dev " + pod().device()));
  EXPECT_THAT(rulesText(host()), HasSubstr("mgy-to-workload"));
}

TEST_F(Container, WithoutATreeThatCanBeWrittenSaysWhatItCannotDo) {
  static_cast<void>(host().mustSh("sysctl -qw net.ipv4.conf." + pod().device() + ".proxy_arp=0"));
  const auto done = runOnce("MARGAY_SYSCTL_DIR=/proc/sys");
  EXPECT_NE(done.status, 0);
  EXPECT_THAT(done.output, HasSubstr("Read-only file system"));
  EXPECT_EQ(proxyArp(), "0\n");
}

}  // namespace
}  // namespace margay::system_tests
