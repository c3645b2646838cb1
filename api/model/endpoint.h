#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/model/labels.h"
#include "base/address.h"
#include "base/shared_string.h"

namespace margay::api {

struct EndpointPort {
  std::string name;
  std::uint8_t protocol = 6;  ///< IPPROTO_*
  std::uint16_t port = 0;
  auto operator<=>(const EndpointPort&) const = default;
};

/// Names of the profiles in order, shared by the pods of a service account.
using ProfileNames = std::shared_ptr<const std::vector<std::string>>;
using EndpointPorts = std::shared_ptr<const std::vector<EndpointPort>>;

/// A workload's interface: from projectcalico.org/v3 WorkloadEndpoint, or from a Pod. A cluster has
/// a hundred thousand of them, so what they share is shared; null pointers mean empty lists.
struct WorkloadEndpoint {
  SharedString ns;
  std::string name;  ///< v3 name: "<node>-k8s-<pod>-eth0", '-' in parts doubled
  SharedString node;
  SharedString orchestrator;  ///< "k8s", "cni", ...
  std::string workload;       ///< name of the pod or container, without the namespace
  SharedString endpoint;      ///< "eth0"
  std::string interfaceName;  ///< host side; empty for a Pod: see interfaceNameOf
  std::optional<std::array<std::uint8_t, 6>> mac;
  std::vector<Prefix> addresses;  ///< /32 and /128; sorted, unique
  Labels labels;                  ///< own labels, with those that Calico adds
  ProfileNames profiles;
  EndpointPorts ports;
  std::vector<Prefix> allowedSources;                    ///< allowSourceSpoofing
  bool operator==(const WorkloadEndpoint& other) const;  ///< lists by content
};

/// `interfaceName`, or `prefix` + the first 11 hex digits of SHA-1("<namespace>.<workload>").
[[nodiscard]] std::string interfaceNameOf(const WorkloadEndpoint& endpoint,
                                          std::string_view prefix);

/// "<node>-<orchestrator>-<workload>-<endpoint>", each '-' inside a part doubled.
[[nodiscard]] std::string workloadEndpointName(std::string_view node, std::string_view orchestrator,
                                               std::string_view workload,
                                               std::string_view endpoint);

}  // namespace margay::api
