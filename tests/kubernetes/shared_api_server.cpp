#include "tests/kubernetes/shared_api_server.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace margay::testing {
namespace {

using nlohmann::json;

/// Ends the server while all that it is made of is still there.
class Holder final : public ::testing::Environment {
 public:
  void TearDown() override { server.reset(); }
  std::unique_ptr<ApiServer> server;
};

Holder& holder() {
  static auto* const kHolder = new Holder;  // googletest owns it
  return *kHolder;
}

[[maybe_unused]] const auto* const kRegistered = ::testing::AddGlobalTestEnvironment(&holder());

}  // namespace

ApiServer* sharedApiServer() {
  auto& server = holder().server;
  if (!server) {
    server = ApiServer::make();
  } else {
    server->thaw();
    server->start();
  }
  return server.get();
}

void wipeObjects(ApiServer& server) {
  const std::string core = "/api/v1";
  const std::string calico = "/apis/crd.projectcalico.org/v1";
  const auto wipe = [&](const std::string& kind) {
    const auto reply = server.call("DELETE", kind, R"({"gracePeriodSeconds": 0})");
    EXPECT_TRUE(reply.status == 200 || reply.status == 404) << kind << ": " << reply.body;
  };
  const auto namespaces = json::parse(server.mustCall("GET", core + "/namespaces"));
  for (const auto& object : namespaces["items"]) {
    const std::string name = object["metadata"]["name"];
    const auto in = "/namespaces/" + name + '/';
    for (const auto& kind :
         {core + in + "pods", calico + in + "networkpolicies", calico + in + "networksets",
          "/apis/networking.k8s.io/v1" + in + "networkpolicies",
          "/apis/discovery.k8s.io/v1beta1" + in + "endpointslices"})
      wipe(kind);
    if (name.starts_with("kube-")) continue;  // the agents' own is there
    wipe(core + in + "serviceaccounts");
  }
  for (const char* kind : {"globalnetworkpolicies", "globalnetworksets", "hostendpoints",
                           "felixconfigurations", "ippools", "tiers", "clusterinformations"})
    wipe(calico + '/' + kind);
  wipe(core + "/nodes");
}

}  // namespace margay::testing
