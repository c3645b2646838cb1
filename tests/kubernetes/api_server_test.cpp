#include "tests/kubernetes/api_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/kubernetes/api_server_fixture.h"

/// The server that other tests stand on does what they expect of it.
namespace margay::testing {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

using ApiServerSelf = ApiServerTest;

TEST_F(ApiServerSelf, GivesUsersWhatRbacGrantsAndLogsWhatTheyAsked) {
  EXPECT_THAT(server().kubectl("get pods -A", "", "agent").output, HasSubstr("Forbidden"));
  server().mustKubectl("create clusterrole reads-pods --verb=list --resource=pods");
  server().mustKubectl("create clusterrolebinding agent --clusterrole=reads-pods --user=agent");
  // The server's authorizer hears of a new role by a watch of its own.
  const auto granted = [&] { return server().kubectl("get pods -A", "", "agent").status == 0; };
  EXPECT_TRUE(eventually(granted));
  EXPECT_THAT(server().kubectl("get nodes", "", "agent").output, HasSubstr("Forbidden"));
  const auto requests = server().audit();
  AuditedRequest list{.user = "agent",
                      .verb = "list",
                      .group = "",
                      .resource = "pods",
                      .path = "/api/v1/pods?limit=500",
                      .status = 200};
  EXPECT_THAT(requests, Contains(list));
  list.status = 403;
  EXPECT_THAT(requests, Contains(list));
}

TEST_F(ApiServerSelf, KeepsItsObjectsOverRestarts) {
  server().mustKubectl("create namespace shop");
  server().stop();
  EXPECT_FALSE(server().ready());
  server().start();
  server().mustKubectl("get namespace shop");
  server().kill();
  server().start();
  server().mustKubectl("get namespace shop");
}

TEST_F(ApiServerSelf, GivesTokensOfServiceAccounts) {
  server().mustKubectl("create serviceaccount margay -n kube-system");
  const auto file = server().directory() + "/token";
  std::ofstream(file) << server().serviceAccountToken("kube-system", "margay");
  server().writeKubeconfig("account", server().url(), file);
  const std::string name = "system:serviceaccount:kube-system:margay";
  EXPECT_THAT(server().kubectl("get nodes", "", "account").output, HasSubstr(name));
}

TEST_F(ApiServerSelf, RefusesRevisionsBeforeACompaction) {
  const auto list = json::parse(server().mustCall("GET", "/api/v1/configmaps"));
  const std::string before = list["metadata"]["resourceVersion"];
  server().mustKubectl("create configmap one -n default");
  server().mustKubectl("create configmap two -n default");
  server().compact();
  // A server that has just started has none of the old events in memory either.
  server().stop();
  server().start();
  const auto watch = server().call("GET",
                                   "/api/v1/configmaps?watch=1&timeoutSeconds=1"
                                   "&resourceVersion=" +
                                       before);
  EXPECT_TRUE(watch.status == 410 || watch.body.find("\"code\":410") != std::string::npos)
      << watch.status << watch.body;
}

}  // namespace
}  // namespace margay::testing
