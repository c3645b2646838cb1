#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/model/config.h"
#include "api/model/endpoint.h"
#include "api/model/network_set.h"
#include "api/model/node.h"
#include "api/model/policy.h"
#include "api/model/service.h"
#include "base/shared.h"
#include "base/shared_string.h"

namespace margay::api {

/// Kinds that users write. Those after `FirstConverted` never reach the controllers: the sources
/// turn them into the others (Pod -> WorkloadEndpoint, Namespace and ServiceAccount -> Profile).
/// The kinds from NetworkPolicy to BaselineAdminNetworkPolicy all have a Policy as value.
enum class Kind : std::uint8_t {
  WorkloadEndpoint,
  HostEndpoint,  ///< later: values reach the store, no controller reads them yet
  Profile,
  Tier,
  NetworkPolicy,
  GlobalNetworkPolicy,
  KubernetesNetworkPolicy,
  ClusterNetworkPolicy,
  AdminNetworkPolicy,
  BaselineAdminNetworkPolicy,
  NetworkSet,
  GlobalNetworkSet,
  IPPool,
  FelixConfiguration,
  Node,
  ClusterInformation,
  Service,
  EndpointSlice,
  Pod,
  Namespace,
  ServiceAccount,
  Unknown,
};
/// As users write it: "NetworkPolicy" also for KubernetesNetworkPolicy's own kind in messages is
/// "KubernetesNetworkPolicy".
[[nodiscard]] std::string_view kindText(Kind kind);

/// What identifies an object in the store. Cluster-scoped kinds have an empty namespace. A v1 Node
/// and a v3 Node of one name are one object.
struct ObjectKey {
  Kind kind = Kind::Unknown;
  SharedString ns;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  bool operator==(const ObjectKey&) const = default;
  [[nodiscard]] std::string str() const;  ///< "NetworkPolicy default/allow-fe"
};

/// What controllers see. Immutable: a change is a new value.
using Value =
    std::variant<Shared<WorkloadEndpoint>, Shared<Profile>, Shared<Tier>, Shared<Policy>,
                 Shared<NetworkSet>, Shared<IPPool>, Shared<FelixConfiguration>, Shared<Node>,
                 Shared<ClusterInformation>, Shared<Service>, Shared<EndpointSlice>>;

/// The newest value of a key; none means that the object is gone.
struct Update {
  ObjectKey key;
  std::optional<Value> value;
};

/// An object, document or file that cannot be used: it is left out (Felix: "treated as deleted";
/// for a file that does not parse, its last good objects stay) and shown in status and metrics.
struct InvalidObject {
  Kind kind = Kind::Unknown;
  std::string kindName;  ///< as written, also when it is no kind of ours
  std::string ns;
  std::string name;
  std::string file;    ///< empty when the source is not files
  int document = 0;    ///< 1-based place in the file, 0 for the file as a whole
  std::string field;   ///< "spec.ingress[0].source.selector"
  std::string reason;  ///< what is wrong and what to do
  auto operator<=>(const InvalidObject&) const = default;
};

}  // namespace margay::api

template <>
struct std::hash<margay::api::ObjectKey> {
  std::size_t operator()(const margay::api::ObjectKey& key) const noexcept {
    return std::hash<std::string_view>{}(key.name) * 31 +
           std::hash<margay::SharedString>{}(key.ns) * 7 + static_cast<std::size_t>(key.kind);
  }
};
