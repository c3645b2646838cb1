#include "tests/kubernetes/shared_api_server.h"

#include <gtest/gtest.h>

namespace margay::testing {
namespace {

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

}  // namespace margay::testing
