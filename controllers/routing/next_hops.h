#pragma once

#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/model/node.h"
#include "base/address.h"
#include "base/shared.h"
#include "dataplane/model/network.h"

namespace margay::controllers {

/// The way to another node over a link that we share with it.
struct NextHop {
  Address gateway;
  dataplane::IfName device;
  auto operator<=>(const NextHop&) const = default;
};

/// The ways to other nodes, each found once. One thread.
class NextHops {
 public:
  struct Hop {
    Shared<NextHop> next;  ///< null: there is no way, and `why` says why not
    std::string why;
  };

  /// What the host's interfaces have, with host bits. Forgets every way.
  void setAddresses(std::vector<dataplane::InterfaceAddress> addresses);
  /// The node is not what it was.
  void forget(std::string_view node);
  /// By the node's address (Node::address) if that is within the subnet of an address of ours; by
  /// the most specific such subnet, then the first interface by name. Valid until the next call
  /// that is not `to`.
  [[nodiscard]] const Hop& to(const api::Node& node, Family family);
  /// The same, not kept. O(addresses of ours).
  [[nodiscard]] Hop find(const api::Node& node, Family family) const;

 private:
  std::vector<dataplane::InterfaceAddress> ours_;
  std::map<std::string, std::map<Family, Hop>, std::less<>> hops_;
};

/// Whether a pod CIDR of the node has the address in it.
[[nodiscard]] bool coversAddress(const api::Node& node, const Prefix& address);

[[nodiscard]] dataplane::Route routeBy(const NextHop& hop, const Prefix& destination,
                                       std::uint32_t metric);

}  // namespace margay::controllers
