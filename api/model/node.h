#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/model/labels.h"
#include "base/address.h"

namespace margay::api {

/// What a node agent needs of a Node: the v1 Node (pod CIDRs, InternalIP addresses, annotations)
/// with what the v3 Node of its name adds (spec.bgp.ipv4Address wins over InternalIP).
struct Node {
  std::string name;
  Labels labels;
  std::vector<Address> internalAddresses;
  std::optional<Prefix> bgpAddress4;  ///< with host bits: the node's address and its subnet
  std::optional<Prefix> bgpAddress6;
  std::vector<Prefix> podCidrs;
  bool operator==(const Node&) const = default;
  /// The address of the family that other nodes route to: BGP address, else first InternalIP.
  [[nodiscard]] std::optional<Address> address(Family family) const;
};

}  // namespace margay::api
