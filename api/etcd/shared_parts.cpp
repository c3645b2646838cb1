#include "api/etcd/shared_parts.h"

#include <string>

namespace margay::api {
namespace {

void add(std::string& key, std::string_view text) {
  key += std::to_string(text.size());
  key += ':';
  key += text;
}

std::string keyOf(const Labels& labels) {
  std::string key;
  for (const auto& [name, value] : labels.pairs()) {
    add(key, name);
    add(key, value);
  }
  return key;
}

std::string keyOf(const ProfileNames& names) {
  std::string key;
  for (const auto& name : *names) add(key, name);
  return key;
}

std::string keyOf(const EndpointPorts& ports) {
  std::string key;
  for (const auto& port : *ports) {
    add(key, port.name);
    key += std::to_string(port.protocol) + '/' + std::to_string(port.port) + ' ';
  }
  return key;
}

template <class T>
void shareIn(EndpointPools& pools, T& value) {
  const std::string key = keyOf(value);
  const T* known = pools.find<T>(key);
  value = known != nullptr ? *known : pools.keep<T>(key, value);
}

}  // namespace

void shareParts(Decoded& decoded, const EndpointPlace& place, EndpointPools& pools) {
  if (!decoded.value) return;
  auto* found = std::get_if<Shared<WorkloadEndpoint>>(&*decoded.value);
  if (found == nullptr) return;
  WorkloadEndpoint endpoint = **found;
  endpoint.ns = pools.string(endpoint.ns);
  endpoint.node = pools.string(endpoint.node);
  if (endpoint.name == place.name) endpoint.name = place.name;  // the same text
  if (!place.node.empty() && endpoint.node.view() != place.node)
    endpoint.setDetails({.identity = endpoint.details().identity});
  if (!endpoint.labels.empty()) shareIn(pools, endpoint.labels);
  if (endpoint.profiles) shareIn(pools, endpoint.profiles);
  if (endpoint.ports) shareIn(pools, endpoint.ports);
  decoded.key.ns = endpoint.ns;
  *found = share(std::move(endpoint));
}

}  // namespace margay::api
