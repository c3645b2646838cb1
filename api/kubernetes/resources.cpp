#include "api/kubernetes/resources.h"

namespace margay::api {
namespace {

/// What is left out of objects that are read whole.
const FieldFilter& whole() {
  static const FieldFilter kFields = FieldFilter::without(
      {"metadata managedFields", "metadata ownerReferences",
       "metadata annotations kubectl.kubernetes.io/last-applied-configuration", "status"});
  return kFields;
}

/// A cluster has a hundred thousand pods, and nine tenths of each are nothing to us.
const FieldFilter& podFields() {
  static const FieldFilter kFields = FieldFilter::only(
      {"metadata name", "metadata namespace", "metadata labels", "metadata resourceVersion",
       "metadata deletionTimestamp", "metadata annotations cni.projectcalico.org/podIP",
       "metadata annotations cni.projectcalico.org/podIPs",
       "metadata annotations cni.projectcalico.org/allowedSourcePrefixes",
       "metadata annotations vpc.amazonaws.com/pod-ips", "spec nodeName", "spec hostNetwork",
       "spec serviceAccountName", "spec containers ports", "spec initContainers ports",
       "status phase", "status podIP", "status podIPs"});
  return kFields;
}

const FieldFilter& nodeFields() {
  static const FieldFilter kFields =
      FieldFilter::only({"metadata name", "metadata labels", "metadata resourceVersion",
                         "metadata annotations projectcalico.org/IPv4Address",
                         "metadata annotations projectcalico.org/IPv6Address", "spec podCIDR",
                         "spec podCIDRs", "status addresses"});
  return kFields;
}

/// Of these the labels alone count.
const FieldFilter& labelsOnly() {
  static const FieldFilter kFields = FieldFilter::only(
      {"metadata name", "metadata namespace", "metadata labels", "metadata resourceVersion"});
  return kFields;
}

}  // namespace

const std::vector<KubernetesResource>& kubernetesResources() {
  using Versions = std::vector<std::string_view>;
  static const Versions kCore = {"v1"};
  static const Versions kSlices = {"discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"};
  static const Versions kCalico = {"crd.projectcalico.org/v1", "projectcalico.org/v3"};
  static const Versions kClusterPolicies = {"policy.networking.k8s.io/v1beta1",
                                            "policy.networking.k8s.io/v1alpha2"};
  static const Versions kOlderPolicies = {"policy.networking.k8s.io/v1alpha1"};
  static const std::vector<KubernetesResource> kAll = {
      {"Namespace", "namespaces", kCore, false, &labelsOnly()},
      {"ServiceAccount", "serviceaccounts", kCore, false, &labelsOnly()},
      {"Node", "nodes", kCore, false, &nodeFields()},
      {"Pod", "pods", kCore, false, &podFields()},
      {"Service", "services", kCore, false, &whole()},
      {"EndpointSlice", "endpointslices", kSlices, true, &whole()},
      {"NetworkPolicy", "networkpolicies", {"networking.k8s.io/v1"}, false, &whole()},
      {"ClusterNetworkPolicy", "clusternetworkpolicies", kClusterPolicies, true, &whole()},
      {"AdminNetworkPolicy", "adminnetworkpolicies", kOlderPolicies, true, &whole()},
      {"BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies", kOlderPolicies, true,
       &whole()},
      {"ClusterInformation", "clusterinformations", kCalico, true, &whole()},
      {"FelixConfiguration", "felixconfigurations", kCalico, true, &whole()},
      {"GlobalNetworkPolicy", "globalnetworkpolicies", kCalico, true, &whole()},
      {"GlobalNetworkSet", "globalnetworksets", kCalico, true, &whole()},
      {"HostEndpoint", "hostendpoints", kCalico, true, &whole()},
      {"IPPool", "ippools", kCalico, true, &whole()},
      {"NetworkPolicy", "networkpolicies", kCalico, true, &whole()},
      {"NetworkSet", "networksets", kCalico, true, &whole()},
      {"Tier", "tiers", kCalico, true, &whole()},
  };
  return kAll;
}

std::string_view groupOf(std::string_view groupVersion) {
  const auto slash = groupVersion.find('/');
  return slash == std::string_view::npos ? std::string_view() : groupVersion.substr(0, slash);
}

std::string resourceTitle(const KubernetesResource& resource) {
  const auto group = groupOf(resource.groupVersions.front());
  return std::string(resource.plural) + (group.empty() ? "" : "." + std::string(group));
}

std::string groupPath(std::string_view groupVersion) {
  return (groupOf(groupVersion).empty() ? "/api/" : "/apis/") + std::string(groupVersion);
}

}  // namespace margay::api
