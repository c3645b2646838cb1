#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/dataplane/network_namespace.h"

namespace margay::bench {

/// Runs `command` with /bin/sh in the calling thread's network namespace; says on standard error
/// why it failed.
bool must(const std::string& command);
/// `tool FILE`, FILE having `text`.
bool mustBatch(const std::string& tool, const std::string& text);

/// Of the workload NS.POD, on the host.
[[nodiscard]] std::string interfaceOf(const std::string& ns, const std::string& pod);

/// The network of a node in operation: each of its pods' interfaces with the far end in one other
/// namespace, "p0" and so on, and eth0 with 172.16.0.1/12, so that routes to other nodes can be
/// made. All interfaces are up.
struct NodeNetwork {
  testing::NetworkNamespace host;
  testing::NetworkNamespace pods;

  /// MAC addresses of all interfaces of workloads.
  static constexpr const char* kHostMac = "02:00:00:00:00:01";
  static constexpr const char* kPodMac = "02:00:00:00:00:02";

  /// Says on standard error why there is none.
  static std::optional<NodeNetwork> make(const std::vector<std::string>& interfaces,
                                         bool ipv6 = true);
};

}  // namespace margay::bench
