#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "api/kubernetes/kubernetes_client.h"
#include "api/store/object_store.h"

namespace margay::api {

/// Calico's objects in the Kubernetes API: CRDs of crd.projectcalico.org/v1; Nodes, of which only
/// Calico's own fields can be written; and, to be read only, the WorkloadEndpoints of Pods and the
/// Profiles of Namespaces and ServiceAccounts. Any thread.
class KubernetesObjects final : public ObjectStore {
 public:
  /// Calls end with `Errc::Interrupted` when `stop` asks for it.
  explicit KubernetesObjects(std::shared_ptr<KubernetesClient> client, std::stop_token stop = {})
      : client_(std::move(client)), stop_(std::move(stop)) {}

  [[nodiscard]] Result<std::vector<nlohmann::json>> list(
      const StoredKind& kind, const std::optional<std::string>& ns = {}) const override;
  /// The core Node as the API has it.
  [[nodiscard]] Result<nlohmann::json> kubernetesNode(const std::string& name) const;
  /// A strategic merge patch of its status, of which a condition is found by its type.
  [[nodiscard]] Result<void> patchNodeStatus(const std::string& name,
                                             const nlohmann::json& patch) const;

 private:
  [[nodiscard]] Result<Found> find(const StoredKind& kind, const std::string& ns,
                                   const std::string& name) const override;
  [[nodiscard]] Result<std::string> put(const Place& place,
                                        const nlohmann::json& document) const override;
  [[nodiscard]] Result<void> erase(const Place& place) const override;

  using OnItem = std::function<void(nlohmann::json& item)>;
  [[nodiscard]] Result<void> each(const std::string& path, const OnItem& onItem) const;
  [[nodiscard]] Result<std::vector<nlohmann::json>> converted(
      const StoredKind& kind, const std::optional<std::string>& ns) const;
  [[nodiscard]] Result<nlohmann::json> call(HttpCall call, const std::string& title) const;

  std::shared_ptr<KubernetesClient> client_;
  std::stop_token stop_;
};

}  // namespace margay::api
