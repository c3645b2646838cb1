#pragma once

#include <memory>
#include <vector>

#include "base/address.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/kubernetes/api_server.h"
#include "tests/system/load.h"

namespace margay::bench {

/// Three pods on the node with real interfaces, and a policy: one may send to the first, and the
/// other may not. Which it is follows from the labels of their namespaces.
class Flows {
 public:
  /// `host` is the node's. Null, with a printed reason, if they cannot be made.
  static std::unique_ptr<Flows> on(testing::ApiServer& server,
                                   const testing::NetworkNamespace& host);
  /// 1,000 new flows a second of each pair from now on.
  void begin();
  /// Prints what became of them. False if one was lost that was allowed, or one arrived that was
  /// not.
  bool end();

 private:
  struct Pod {
    testing::NetworkNamespace ns;
    Address address;
  };
  std::vector<Pod> pods_;  // the receiver, who may send, and who may not
  std::unique_ptr<system_tests::Counter> received_, leaked_;
  std::unique_ptr<system_tests::Load> allowed_, denied_;
};

}  // namespace margay::bench
