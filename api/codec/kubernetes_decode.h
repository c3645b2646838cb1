#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_pools.h"

namespace margay::api {

/// Converts objects of the Kubernetes API to the values that controllers read, as Calico does:
///   Pod -> WorkloadEndpoint, Namespace -> Profile kns.N, ServiceAccount -> Profile ksa.N.S,
///   networking.k8s.io/v1 NetworkPolicy -> Policy (kind KubernetesNetworkPolicy), v1 Node, v1
///   Service, discovery.k8s.io v1 and v1beta1 EndpointSlice.
/// `Decoded::key` is that of the value; a Pod that is on the host's network, not scheduled,
/// finished or without addresses has no value and no error. A NetworkPolicy can have both a value
/// and errors: rules that cannot be converted are left out and named, the rest is in force. Kinds
/// of Kubernetes that say nothing about networks have neither value nor error (kind Unknown); a
/// kind that its group does not have is an error, and so is policy.networking.k8s.io, which is not
/// enforced. What many objects share is shared between the values of one decoder. One thread; never
/// throws.
class KubernetesDecoder {
 public:
  [[nodiscard]] Decoded decode(const nlohmann::json& document);

 private:
  EndpointPools pools_;
};

/// Each of these fills value, errors and warnings of `out`, whose ns and name are those of the
/// document.
void decodePod(const nlohmann::json& document, EndpointPools& pools, Decoded& out);
void decodeKubernetesPolicy(const nlohmann::json& document, Decoded& out);
void decodeKubernetesNode(const nlohmann::json& document, Decoded& out);
void decodeService(const nlohmann::json& document, Decoded& out);
void decodeEndpointSlice(const nlohmann::json& document, Decoded& out);

}  // namespace margay::api
