#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/kubernetes/field_filter.h"

namespace margay::api {

/// A kind that is listed and watched.
struct KubernetesResource {
  std::string_view kindName;  ///< "NetworkPolicy"
  std::string_view plural;    ///< "networkpolicies"
  /// "v1", "discovery.k8s.io/v1": the first of them that the server has is taken.
  std::vector<std::string_view> groupVersions;
  bool optional = false;  ///< a server without it is none the worse
  const FieldFilter* fields = nullptr;
};

/// Every kind that the source follows. To follow another one is another line here.
[[nodiscard]] const std::vector<KubernetesResource>& kubernetesResources();

/// "networkpolicies.networking.k8s.io", as kubectl and RBAC rules name it.
[[nodiscard]] std::string resourceTitle(const KubernetesResource& resource);
/// "/apis/discovery.k8s.io/v1" or "/api/v1".
[[nodiscard]] std::string groupPath(std::string_view groupVersion);
/// "discovery.k8s.io"; empty for the core group.
[[nodiscard]] std::string_view groupOf(std::string_view groupVersion);

}  // namespace margay::api
