#pragma once

#include <functional>

#include "base/result.h"
#include "cmd/agent/node_publisher.h"
#include "cmd/agent/settings.h"

namespace margay::agent {

/// What a node writes to the Kubernetes API, as calico-node does: Calico's fields of its Node as
/// annotations, default pools, ClusterInformation; and, where the network between pods is ours, its
/// condition NetworkUnavailable. `ready`: whether the node is.
Result<PublisherParts> kubernetesParts(const Settings& settings, std::function<bool()> ready);

}  // namespace margay::agent
