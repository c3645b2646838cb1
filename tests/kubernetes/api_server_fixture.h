#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/base/eventually.h"
#include "tests/kubernetes/api_server.h"

namespace margay::testing {

/// Each test has a server of its own, or is skipped where none was built. One takes 4 s to start.
class ApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = ApiServer::make();
    if (!server_) GTEST_SKIP() << "no kube-apiserver: run tests/kubernetes/build";
  }
  ApiServer& server() { return *server_; }

 private:
  std::unique_ptr<ApiServer> server_;
};

}  // namespace margay::testing
