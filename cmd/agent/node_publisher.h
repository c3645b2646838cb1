#pragma once

#include <memory>
#include <string>
#include <thread>

#include "api/etcd/etcd_client.h"
#include "base/result.h"
#include "cmd/agent/settings.h"

namespace margay::agent {

/// Keeps in etcd what a node says about itself (its Node, with its addresses) and what the first
/// node of a cluster makes (ClusterInformation, default pools, settings, tiers), on a thread of its
/// own that ends with this object. What etcd or the settings do not allow is logged once and tried
/// again. MARGAY_PUBLISH_NODE=false leaves all that to others.
class NodePublisher {
 public:
  /// Null where the datastore is not etcd, or nothing is to be published.
  static Result<std::unique_ptr<NodePublisher>> start(const Settings& settings);

 private:
  NodePublisher(const Settings& settings, std::unique_ptr<api::EtcdClient> client);
  void run(const std::stop_token& stop);
  Result<void> publish(const std::stop_token& stop) const;

  const Settings settings_;
  const std::shared_ptr<api::EtcdClient> client_;
  std::jthread thread_;
};

}  // namespace margay::agent
