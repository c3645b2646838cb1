#include "cmd/agent/kubernetes_parts.h"

#include <nlohmann/json.hpp>

#include "api/kubernetes/access.h"
#include "api/kubernetes/kubernetes_objects.h"
#include "base/log.h"
#include "base/utc_time.h"
#include "cmd/agent/network_condition.h"

namespace margay::agent {
namespace {

using Client = std::shared_ptr<api::KubernetesClient>;

std::string valueOf(const Settings& settings, const char* variable) {
  const auto found = settings.environment.find(variable);
  return found == settings.environment.end() ? std::string() : found->second;
}

/// The InternalIPs of the core Node.
Result<void> addInternal(const api::KubernetesObjects& objects, const std::string& node,
                         HostView& host) {
  const auto item = objects.kubernetesNode(node);
  if (!item) return Fail(item.error());
  const nlohmann::json::json_pointer addresses("/status/addresses");
  if (!item->contains(addresses)) return {};
  for (const auto& entry : (*item)[addresses]) {
    const auto address = Address::parse(entry.value("address", ""));
    if (entry.value("type", "") == "InternalIP" && address) host.internal.push_back(*address);
  }
  return {};
}

/// Tells the API whether the node has a network.
class ConditionTeller {
 public:
  ConditionTeller(Client client, std::string node, std::function<bool()> ready)
      : client_(std::move(client)), node_(std::move(node)), ready_(std::move(ready)) {}

  void look(const std::stop_token& stop) {
    const auto available = condition_.look(ready_());
    if (!available) return;
    tell(*available ? Network::Up : Network::NotReady, stop);
  }

  /// That the network was there is taken back, as calico-node does when it ends.
  void leave(const std::stop_token& stop) {
    if (condition_.mayBeAvailable()) tell(Network::Leaving, stop);
  }

 private:
  void tell(Network network, const std::stop_token& stop) {
    const bool available = network == Network::Up;
    const api::KubernetesObjects objects(client_, stop);
    const auto told = objects.patchNodeStatus(node_, networkConditionPatch(network, utcTime()));
    if (told) {
      condition_.told(available);
      log::info("told Kubernetes about the network", {{"available", available}});
    } else if (std::exchange(lastProblem_, told.error().what) != told.error().what) {
      log::warn("cannot set the node's condition", {{"error", told.error().what}});
    }
  }

  Client client_;
  std::string node_;
  std::function<bool()> ready_;
  NetworkCondition condition_;
  std::string lastProblem_;
};

}  // namespace

Result<PublisherParts> kubernetesParts(const Settings& settings, std::function<bool()> ready) {
  auto access = api::kubernetesAccess(settings.environment);
  if (!access) return Fail(access.error());
  auto made = api::KubernetesClient::make(std::move(*access));
  if (!made) return Fail(made.error());
  const Client client = std::move(*made);
  const auto reference = valueOf(settings, "CALICO_K8S_NODE_REF");
  const auto node = reference.empty() ? settings.nodeName : reference;
  PublisherParts parts;
  parts.open = [client](const std::stop_token& stop) {
    return std::make_unique<api::KubernetesObjects>(client, stop);
  };
  parts.withDefaults = false;
  parts.clusterType = "kdd";
  for (const char* method : {"IP_AUTODETECTION_METHOD", "IP6_AUTODETECTION_METHOD"}) {
    if (valueOf(settings, method) != "kubernetes-internal-ip") continue;
    parts.complete = [client, node](HostView& host, const std::stop_token& stop) {
      return addInternal(api::KubernetesObjects(client, stop), node, host);
    };
  }
  if (settings.networkingBackend == "none") return parts;
  const auto teller = std::make_shared<ConditionTeller>(client, node, std::move(ready));
  parts.look = [teller](const std::stop_token& stop) { teller->look(stop); };
  parts.leave = [teller](const std::stop_token& stop) { teller->leave(stop); };
  return parts;
}

}  // namespace margay::agent
