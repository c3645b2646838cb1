#include "bench/etcd_endpoint.h"

#include <nlohmann/json.hpp>

#include "api/etcd/stored_object.h"

namespace margay::bench {

StoredEndpoint endpointNumber(int number) {
  return {.number = number,
          .node = number / 110,
          .app = number / 50,
          .address = "10." + std::to_string(number / 65536) + "." +
                     std::to_string(number / 256 % 256) + "." + std::to_string(number % 256)};
}

api::EtcdWrite etcdEndpoint(const StoredEndpoint& endpoint) {
  using nlohmann::json;
  const std::string n = std::to_string(endpoint.number);
  const std::string node = std::to_string(endpoint.node);
  const std::string ns = "ns-" + std::to_string(endpoint.number / 100);
  const std::string name = "node--" + node + "-k8s-app--6d4b75cb6d--" + n + "-eth0";
  const json document = {
      {"kind", "WorkloadEndpoint"},
      {"apiVersion", "projectcalico.org/v3"},
      {"metadata",
       {{"name", name},
        {"generateName", "app-6d4b75cb6d-"},
        {"namespace", ns},
        {"uid", "11111111-2222-4333-8444-" + n},
        {"creationTimestamp", "2024-01-01T00:00:00Z"},
        {"labels",
         {{"app", "app-" + std::to_string(endpoint.app)},
          {"pod-template-hash", "6d4b75cb6d"},
          {"projectcalico.org/namespace", ns},
          {"projectcalico.org/orchestrator", "k8s"},
          {"projectcalico.org/serviceaccount", "default"}}}}},
      {"spec",
       {{"orchestrator", "k8s"},
        {"node", "node-" + node},
        {"containerID", std::string(64, 'c')},
        {"pod", "app-6d4b75cb6d-" + n},
        {"endpoint", "eth0"},
        {"serviceAccountName", "default"},
        {"ipNetworks", {endpoint.address + "/32"}},
        {"profiles", {"kns." + ns, "ksa." + ns + ".default"}},
        {"interfaceName", "cali" + std::string(11 - n.size(), '0') + n},
        {"ports", json::array({{{"name", "http"}, {"port", 8080}, {"protocol", "TCP"}}})}}}};
  return {.key = api::storedKeyOf(*api::storedKindNamed("WorkloadEndpoint"), ns, name),
          .value = document.dump()};
}

}  // namespace margay::bench
