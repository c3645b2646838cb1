#pragma once

#include <string>

#include "api/etcd/etcd_client.h"

namespace margay::bench {

/// A workload endpoint in etcd.
struct StoredEndpoint {
  int number = 0;
  int node = 0;  ///< of "node-0"
  int app = 0;   ///< of the label app=app-0
  std::string address;
};
/// The one of a large cluster: 110 a node, 100 a namespace, 50 an app; its address is its own.
[[nodiscard]] StoredEndpoint endpointNumber(int number);
/// As Calico's CNI plugin writes it, in the namespace of its number.
[[nodiscard]] api::EtcdWrite etcdEndpoint(const StoredEndpoint& endpoint);

}  // namespace margay::bench
