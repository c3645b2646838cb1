#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/shared_string.h"

namespace margay::api {

struct ServicePort {
  std::string name;
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  SharedString ns;
  std::string name;
  std::vector<Address> clusterIps;
  std::vector<ServicePort> ports;
  bool operator==(const Service&) const = default;
};

/// Addresses and ports behind a service (discovery.k8s.io v1 and v1beta1). `service` is the label
/// kubernetes.io/service-name.
struct EndpointSlice {
  SharedString ns;
  std::string name;
  std::string service;
  std::vector<Address>
      addresses;  ///< sorted, unique; of all endpoints, ready or not, as Felix takes them
  std::vector<ServicePort> ports;
  bool operator==(const EndpointSlice&) const = default;
};

}  // namespace margay::api
