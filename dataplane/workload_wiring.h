#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/model/network.h"

/// Gives a container its network interface: one veth pair whose other end stays with the host.
/// Everything here may run on any thread; the calling thread stays in its network namespace, which
/// is the host's. A namespace is given as a path, a name of `ip netns`, or the number of a process.
namespace margay::dataplane {

/// Host ends have this address, so that containers see one gateway wherever they are. The IPv6
/// link-local address follows from it.
inline constexpr MacAddress kHostSideMac{0xee, 0xee, 0xee, 0xee, 0xee, 0xee};

enum class ContainerRouting : std::uint8_t {
  Gateway,  ///< via 169.254.1.1 and fe80::ecee:eeff:feee:eeee; the host answers ARP for the first
  OnLink    ///< every destination is on the link; the host answers ARP and NDP for all of them
};
enum class ContainerForwarding : std::uint8_t { Off, On };

struct WorkloadWiring {
  std::string netns;
  IfName hostInterface;  ///< an interface of this name that exists is replaced if it is a veth
  IfName containerInterface = "eth0";
  std::vector<Address> addresses;          ///< each becomes a /32 or /128
  std::optional<MacAddress> containerMac;  ///< without: the kernel chooses one
  std::uint32_t mtu = 1500;
  ContainerRouting routing = ContainerRouting::Gateway;
  std::vector<Prefix> routes;  ///< empty: everything, in each family that has an address
  ContainerForwarding forwarding = ContainerForwarding::Off;
};

/// The container's end of a pair.
struct ContainerInterface {
  Link link;
  std::vector<Prefix> addresses;  ///< with the kernel's own link-local ones, sorted
  bool operator==(const ContainerInterface&) const = default;
};

/// Makes the pair, puts one end into the container under its name, and configures that end:
/// sysctls, MTU, addresses without duplicate detection, routes; the host's end is up last. Its
/// routes, proxy ARP and the other sysctls there are the agent's business. All or nothing: on an
/// error the pair is gone again, only a replaced interface does not come back. `Errc::Invalid` with
/// EEXIST if the container has an interface of the name; `Errc::Invalid` if the namespace is the
/// host's own. About 1 ms on an idle machine; removing a pair, so also replacing one, takes the
/// kernel some 20 ms. The kernel answers ARP for 169.254.1.1 only while the host has a route to it,
/// such as a default one.
Result<ContainerInterface> wireWorkload(const WorkloadWiring& wiring);

/// The interface as it is; no value if the container has none of this name. `Errc::NotFound` if the
/// namespace does not exist.
Result<std::optional<ContainerInterface>> inspectWorkload(const std::string& netns,
                                                          const IfName& containerInterface);

/// Removes the pair by its end in the container. False if the namespace or the interface is gone
/// already.
Result<bool> unwireContainer(const std::string& netns, const IfName& containerInterface);

/// Removes the pair by the host's end. False if it is gone already; `Errc::Invalid` if it is no
/// veth.
Result<bool> unwireHost(const IfName& hostInterface);

}  // namespace margay::dataplane
