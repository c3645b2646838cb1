#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/api/dated_certificate.h"
#include "tests/api/etcd_server.h"
#include "tests/base/child_process.h"
#include "tests/system/backend.h"
#include "tests/system/cluster.h"

/// Agents that cannot trust who answers for the Kubernetes API: it is named once, tried again, and
/// nothing is written to the kernel.
namespace margay::system_tests {
namespace {

using api::test::Certificates;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Distrust {
  const char* host;
  const char* from;  // when the server's certificate begins to be valid
  const char* to;
  const char* named;
};

constexpr Distrust kOtherCa = {"other-ca", "20200101000000Z", "20990101000000Z",
                               "certificate is not accepted"};
constexpr Distrust kPast = {"past", "20200101000000Z", "20210101000000Z",
                            "is the clock of this host right"};
constexpr Distrust kFuture = {"future", "20980101000000Z", "20990101000000Z",
                              "is the clock of this host right"};

class KubernetesTrust : public SystemTest {
 protected:
  /// An agent on a server that shows a certificate of these dates; `ca` is the file that it trusts.
  void expectDistrust(const Distrust& distrust, const std::string& ca) {
    auto& host = cluster().addHost(distrust.host);
    api::test::signServer(certificates_.directory(), distrust.from, distrust.to);
    const auto log = certificates_.directory() + "/server.log";
    const auto port = std::to_string(api::test::freePort());
    const auto entered = host.ns().enter();
    const testing::ChildProcess server(
        {"/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:" + port, "-cert",
         certificates_.directory() + "/server.pem", "-key",
         certificates_.directory() + "/server.key", "-www"},
        log);
    const auto file = (cluster().directory() / distrust.host).string() + ".kubeconfig";
    std::ofstream(file) << "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, "
                           "context: {cluster: s, user: u}}]\nclusters: [{name: s, cluster: "
                           "{server: \"https://127.0.0.1:"
                        << port << "\", certificate-authority: " << ca
                        << "}}]\nusers: [{name: u, user: {token: secret}}]\n";
    const auto before = kernelState(host);
    host.start({{"DATASTORE_TYPE", "kubernetes"}, {"KUBECONFIG", file}});
    const auto named = [&] { return host.log().find(distrust.named) != std::string::npos; };
    EXPECT_TRUE(eventually(named, seconds(30))) << host.log();
    // Each try leaves its mark at the server; by then all kinds have tried more than once.
    const auto tries = [&] { return std::filesystem::file_size(log); };
    for (int round = 0; round < 3; ++round) {
      const auto seen = tries();
      EXPECT_TRUE(eventually([&] { return tries() > seen; }, seconds(30)));
    }
    const auto text = host.log();
    const auto first = text.find("Kubernetes cannot be read");
    EXPECT_NE(first, std::string::npos) << text;
    EXPECT_EQ(text.find("Kubernetes cannot be read", first + 1), std::string::npos) << text;
    EXPECT_THAT(text, Not(HasSubstr("secret")));
    EXPECT_THAT(host.ctl("status").output, HasSubstr(distrust.named));
    EXPECT_EQ(kernelState(host), before);
    host.kill();
  }
  [[nodiscard]] std::string ca() const { return certificates_.directory() + "/ca.pem"; }

 private:
  Certificates certificates_;
};

TEST_F(KubernetesTrust, AServerThatAnotherCaSignedIsNamedAndNothingIsWritten) {
  const Certificates others;
  expectDistrust(kOtherCa, others.directory() + "/ca.pem");
}

TEST_F(KubernetesTrust, AClockThatMayBeOffIsNamedAndNothingIsWritten) {
  for (const auto& distrust : {kPast, kFuture}) expectDistrust(distrust, ca());
}

}  // namespace
}  // namespace margay::system_tests
