#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/kubernetes/kubernetes_client.h"
#include "tests/api/dated_certificate.h"
#include "tests/api/etcd_server.h"
#include "tests/base/child_process.h"
#include "tests/base/eventually.h"

/// Certificates of the Kubernetes client, against programs that speak TLS.
namespace margay::api {
namespace {

using test::Certificates;
using test::EtcdServer;
using test::signServer;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Asks anything; whether the answer came, or why not.
KubernetesResult<bool> ask(const KubernetesAccess& access) {
  auto client = KubernetesClient::make(access);
  if (!client)
    return tl::unexpected(KubernetesError{KubernetesError::Why::Refused, client.error().what});
  return (*client)->has(kubernetesResources().front(), "margay/v1", {}, {});
}

class KubernetesClockTest : public ::testing::TestWithParam<const char*> {};

TEST_P(KubernetesClockTest, IsNamedWhereItMayBeWrong) {
  const Certificates certificates;
  const std::string& directory = certificates.directory();
  const std::string reason = GetParam();
  if (reason == "certificate is not yet valid")
    signServer(directory, "20980101000000Z", "20990101000000Z");
  else
    signServer(directory, "20200101000000Z", "20210101000000Z");
  const auto port = std::to_string(test::freePort());
  const testing::ChildProcess server(
      {"/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:" + port, "-cert",
       directory + "/server.pem", "-key", directory + "/server.key", "-www"},
      directory + "/server.log");
  KubernetesAccess access;
  access.url = "https://127.0.0.1:" + port;
  access.tls.ca.file = directory + "/ca.pem";
  std::string error;
  EXPECT_TRUE(testing::eventually([&] {
    const auto answer = ask(access);
    error = answer ? "accepted" : answer.error().what;
    return answer || answer.error().why == KubernetesError::Why::Refused;
  }));
  EXPECT_THAT(error, AllOf(HasSubstr(reason), HasSubstr("is the clock of this host right"),
                           Not(HasSubstr("\n"))));
}
INSTANTIATE_TEST_SUITE_P(Of, KubernetesClockTest,
                         ::testing::Values("certificate is not yet valid",
                                           "certificate has expired"),
                         [](const auto& access) {
                           return access.index == 0 ? "ItsCertificateOfTheFuture"
                                                    : "ItsCertificateOfThePast";
                         });

TEST(KubernetesCertificates, OfAProgramAreShownToTheServer) {
  const Certificates certificates;
  auto server = EtcdServer::alone(test::Tls::On, certificates.directory());
  if (!server) GTEST_SKIP() << "/usr/bin/etcd is not there (Debian's etcd-server)";
  const auto textOf = [](const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  const std::string output = certificates.directory() + "/credential";
  std::ofstream(output) << nlohmann::json{
      {"apiVersion", "client.authentication.k8s.io/v1"},
      {"kind", "ExecCredential"},
      {"status",
       {{"clientCertificateData", textOf(certificates.tls().certificate.file)},
        {"clientKeyData", textOf(certificates.tls().key.file)}}}};
  KubernetesAccess access;
  access.url = server->url();
  access.tls.ca = certificates.tls().ca;
  const auto without = ask(access);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().what, HasSubstr("client certificate"));
  access.exec.emplace();
  access.exec->command = "cat";
  access.exec->args = {output};
  access.exec->apiVersion = "client.authentication.k8s.io/v1";
  const auto with = ask(access);
  EXPECT_TRUE(with) << with.error().what;
}

}  // namespace
}  // namespace margay::api
