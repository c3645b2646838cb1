#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "cmd/agent/host_addresses.h"

namespace margay::agent {

/// What a host can be asked about its addresses.
struct HostView {
  std::vector<HostInterface> interfaces;  ///< in the order in which they are looked through
  std::function<std::optional<Address>(const std::string& destination, Family family)> reach;
  std::vector<Address> internal = {};  ///< InternalIPs of the Kubernetes Node, in its order
};

/// The address, with its subnet, that one of Calico's IP_AUTODETECTION_METHODs gives:
/// "first-found" (or empty), "interface=REGEX,...", "skip-interface=REGEX,...", "cidr=CIDR,...",
/// "can-reach=DESTINATION", "kubernetes-internal-ip". `Errc::NotFound` if no address fits,
/// `Errc::Invalid` for another method or a broken expression.
Result<Prefix> detectAddress(const std::string& method, Family family, const HostView& host);

/// A node's address by the variable IP (or IP6), in Calico's way: an address, "autodetect", "none",
/// or empty, which detects an IPv4 address where none is stored. No value: the node has none.
struct AddressRequest {
  Family family = Family::V4;
  std::string value;                  ///< of IP or IP6
  std::string method;                 ///< of IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD
  std::optional<std::string> stored;  ///< what the node's object has
};
Result<std::optional<std::string>> nodeAddress(const AddressRequest& request, const HostView& host);

}  // namespace margay::agent
