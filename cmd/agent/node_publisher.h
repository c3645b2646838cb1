#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "api/store/object_store.h"
#include "base/result.h"
#include "cmd/agent/address_detection.h"
#include "cmd/agent/settings.h"

namespace margay::agent {

/// What the datastores do differently. Each function is for the publisher's thread.
struct PublisherParts {
  std::function<std::unique_ptr<api::ObjectStore>(const std::stop_token& stop)> open;
  /// Adds what the datastore knows about the host.
  std::function<Result<void>(HostView& host, const std::stop_token& stop)> complete;
  /// Settings and tiers for Calico's other programs.
  bool withDefaults = true;
  /// Added to the type of the cluster; may be empty.
  std::string clusterType;
  /// Called every 10 s, published or not; not called if it is empty.
  std::function<void(const std::stop_token& stop)> look;
  /// Called at the end, with two seconds for it; not called if it is empty.
  std::function<void(const std::stop_token& stop)> leave;
};

/// What the rest of the agent knows of itself; any thread may ask.
struct AgentState {
  std::function<bool()> ready;
  std::function<bool()> listed;  ///< the datastore has been read
};

/// Keeps in the datastore what a node says about itself (its Node, with its addresses) and what the
/// first node of a cluster makes (ClusterInformation, default pools), on a thread of its own that
/// ends with this object. What the datastore or the settings do not allow is logged once and tried
/// again; as long as the datastore cannot be read either, its source says why. With
/// MARGAY_PUBLISH_NODE=false all that is left to others.
class NodePublisher {
 public:
  /// Null where the datastore takes nothing, or nothing is to be published.
  static Result<std::unique_ptr<NodePublisher>> start(const Settings& settings, AgentState agent);
  NodePublisher(const Settings& settings, PublisherParts parts, std::function<bool()> listed);

 private:
  void run(const std::stop_token& stop);
  void leave() const;
  Result<void> publish(const std::stop_token& stop) const;
  Result<void> publishNode(const api::ObjectStore& objects, HostView& host) const;
  Result<void> publishPools(const api::ObjectStore& objects, const HostView& host) const;
  Result<void> publishCluster(const api::ObjectStore& objects) const;

  const Settings settings_;
  const PublisherParts parts_;
  const std::function<bool()> listed_;
  std::jthread thread_;
};

}  // namespace margay::agent
