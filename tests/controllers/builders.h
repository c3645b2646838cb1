#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/model/object.h"
#include "api/selector/effective.h"
#include "base/shared.h"

/// Values for tests, with the parts that do not matter filled in. Bad text in a test is a crash.
namespace margay::test {

inline Address ip(std::string_view text) {
  return *Address::parse(text);
}
inline Prefix net(std::string_view text) {
  return *Prefix::parseNetwork(text);
}

inline std::vector<Prefix> nets(const std::vector<std::string>& texts) {
  std::vector<Prefix> out;
  for (const auto& text : texts) out.push_back(net(text));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// What Kubernetes' pods differ in.
struct PodSpec {
  std::string ns = "default";
  std::string name = "pod";
  std::string node = "n1";
  std::vector<std::string> addresses;
  api::LabelMap labels;  ///< Calico's own are added
  std::vector<api::EndpointPort> ports;
  std::optional<std::vector<std::string>> profiles;  ///< else kns.NAMESPACE
};

inline api::WorkloadEndpoint pod(PodSpec spec) {
  api::WorkloadEndpoint out;
  out.ns = spec.ns;
  out.name = api::workloadEndpointName(spec.node, "k8s", spec.name, "eth0");
  out.node = spec.node;
  out.addresses = nets(spec.addresses);
  spec.labels.emplace_back(api::kNamespaceLabel, spec.ns);
  spec.labels.emplace_back(api::kOrchestratorLabel, "k8s");
  out.labels = api::Labels(std::move(spec.labels));
  if (!spec.profiles) spec.profiles = {"kns." + spec.ns};
  out.profiles = share(std::move(*spec.profiles));
  if (!spec.ports.empty()) out.ports = share(std::move(spec.ports));
  return out;
}

/// As from a Namespace: allows everything and gives its labels with "pcns." before them.
inline api::Profile namespaceProfile(const std::string& ns, const api::LabelMap& labels = {}) {
  api::LabelMap prefixed{{"pcns.projectcalico.org/name", ns}};
  for (const auto& [key, value] : labels) prefixed.emplace_back("pcns." + key, value);
  return {"kns." + ns, api::Labels(std::move(prefixed)), {api::PolicyRule{}}, {api::PolicyRule{}}};
}

inline api::NetworkSet networkSet(const std::string& ns, const std::string& name,
                                  api::LabelMap labels, const std::vector<std::string>& prefixes) {
  if (!ns.empty()) labels.emplace_back(api::kNamespaceLabel, ns);
  return {ns, name, api::Labels(std::move(labels)), nets(prefixes)};
}

inline api::Tier tier(const std::string& name, std::optional<double> order,
                      api::TierDefault action = api::TierDefault::Deny) {
  return {name, order, action};
}

inline api::PolicyRule rule(api::RuleAction action) {
  api::PolicyRule out;
  out.action = action;
  return out;
}
inline api::PolicyRule allowFrom(const std::string& selector) {
  api::PolicyRule out;
  out.source.selector = selector;
  return out;
}
inline api::PolicyRule allowTo(const std::string& selector) {
  api::PolicyRule out;
  out.destination.selector = selector;
  return out;
}

/// Applies to ingress; `ns` empty makes it global.
inline api::Policy policy(const std::string& ns, const std::string& name,
                          const std::string& selector, std::vector<api::PolicyRule> ingress = {}) {
  api::Policy out;
  out.ns = ns;
  out.name = name;
  out.selector = selector;
  out.appliesToIngress = true;
  out.ingress = std::move(ingress);
  return out;
}
inline api::Policy egressPolicy(const std::string& ns, const std::string& name,
                                const std::string& selector,
                                std::vector<api::PolicyRule> egress = {}) {
  api::Policy out = policy(ns, name, selector);
  out.appliesToIngress = false;
  out.appliesToEgress = true;
  out.egress = std::move(egress);
  return out;
}

inline api::ObjectKey keyOf(const api::WorkloadEndpoint& v) {
  return {api::Kind::WorkloadEndpoint, v.ns, std::string(v.name)};
}
inline api::ObjectKey keyOf(const api::Profile& v) {
  return {api::Kind::Profile, {}, v.name};
}
inline api::ObjectKey keyOf(const api::Tier& v) {
  return {api::Kind::Tier, {}, v.name};
}
inline api::ObjectKey keyOf(const api::EndpointSlice& v) {
  return {api::Kind::EndpointSlice, v.ns, std::string(v.name)};
}
inline api::ObjectKey keyOf(const api::NetworkSet& v) {
  return {v.ns.empty() ? api::Kind::GlobalNetworkSet : api::Kind::NetworkSet, v.ns,
          std::string(v.name)};
}
inline api::ObjectKey keyOf(const api::Policy& v) {
  return {v.ns.empty() ? api::Kind::GlobalNetworkPolicy : api::Kind::NetworkPolicy, v.ns,
          std::string(v.name)};
}

template <class T>
api::Update put(T value) {
  auto key = keyOf(value);
  return {std::move(key), api::Value(share(std::move(value)))};
}
inline api::Update gone(api::ObjectKey key) {
  return {std::move(key), std::nullopt};
}
template <class T>
api::Update gone(const T& value) {
  return gone(keyOf(value));
}

}  // namespace margay::test
