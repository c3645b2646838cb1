#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_pools.h"

namespace margay::api {

/// Converts objects of the Kubernetes API to the values that controllers read, as Calico does:
///   Pod -> WorkloadEndpoint, Namespace -> Profile kns.N, ServiceAccount -> Profile ksa.N.S,
///   networking.k8s.io/v1 NetworkPolicy -> Policy (kind KubernetesNetworkPolicy),
///   policy.networking.k8s.io v1alpha2 and v1beta1 ClusterNetworkPolicy, v1alpha1
///   AdminNetworkPolicy and BaselineAdminNetworkPolicy -> Policy (of these kinds), v1 Node, v1
///   Service, discovery.k8s.io v1 and v1beta1 EndpointSlice.
/// `Decoded::key` is that of the value; a Pod that is on the host's network, not scheduled,
/// finished or without addresses has no value and no error. A policy can have both a value and
/// errors: rules that cannot be converted are named and left out, or, where they deny or pass in
/// the whole cluster, deny everything; the rest is in force. Kinds of Kubernetes that say nothing
/// about networks have neither value nor error (kind Unknown); a kind that its group does not have
/// is an error. What many objects share is shared between the values of one decoder. One thread;
/// never throws.
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
/// ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy.
void decodeClusterPolicy(const nlohmann::json& document, Decoded& out);
void decodeKubernetesNode(const nlohmann::json& document, Decoded& out);
void decodeService(const nlohmann::json& document, Decoded& out);
void decodeEndpointSlice(const nlohmann::json& document, Decoded& out);

}  // namespace margay::api
