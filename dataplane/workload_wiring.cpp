#include "dataplane/workload_wiring.h"

#include <linux/netlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>
#include <utility>

#include "dataplane/link_driver.h"
#include "dataplane/netlink_interfaces.h"
#include "dataplane/netlink_namespace.h"
#include "dataplane/netlink_socket.h"
#include "dataplane/sysctl_driver.h"
#include "dataplane/workload_wiring_messages.h"

namespace margay::dataplane {
namespace {

bool hasFamily(const WorkloadWiring& wiring, Family family) {
  return std::any_of(wiring.addresses.begin(), wiring.addresses.end(),
                     [&](const Address& address) { return address.family() == family; });
}

Address gatewayOf(Family family) {
  return *Address::parse(family == Family::V4 ? "169.254.1.1" : "fe80::ecee:eeff:feee:eeee");
}

bool isName(const IfName& name) {
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         name.find_first_of("/: \t\n\r\v\f") == IfName::npos;
}

Result<void> validate(const WorkloadWiring& wiring) {
  for (const auto& name : {wiring.hostInterface, wiring.containerInterface}) {
    if (!isName(name)) {
      return fail(Errc::Invalid, "wire a workload: \"" + name + "\" is no name of an interface");
    }
  }
  for (const auto& route : wiring.routes) {
    if (!hasFamily(wiring, route.family())) {
      return fail(Errc::Invalid,
                  "wire a workload: route " + route.str() + " has no address of its family");
    }
  }
  return {};
}

/// Messages with what each is for, sent at once.
class Requests {
 public:
  template <class... Args>
  Result<void> put(std::string what, Result<void> (*build)(NetlinkBatch&, Args...),
                   std::type_identity_t<Args>... args) {
    what_.push_back(std::move(what));
    return build(batch_, args...);
  }
  /// The first refusal is the error; later messages were tried nevertheless.
  Result<void> send(NetlinkSocket& socket) {
    std::optional<Error> first;
    auto sent = socket.send(batch_, [&](const NetlinkSocket::Refusal& refusal) {
      if (first) return;
      first = systemError(refusal.sysErrno, what_[refusal.index]);
      if (!refusal.text.empty()) first->what.append(" (").append(refusal.text).append(")");
    });
    if (!sent) return sent;
    if (first) return Fail(*first);
    return {};
  }

 private:
  NetlinkBatch batch_;
  std::vector<std::string> what_;
};

Result<int> indexOf(const IfName& name) {
  auto names = InterfaceNames::open();
  if (!names) return Fail(names.error());
  return names->indexOf(name);
}

Result<bool> deleteLink(const IfName& name) {
  const auto index = indexOf(name);
  if (!index) return Fail(index.error());
  if (*index == 0) return false;
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(socket.error());
  Requests requests;
  auto put = requests.put("delete interface " + name, putLinkDelete, *index);
  if (!put) return Fail(put.error());
  auto sent = requests.send(*socket);
  if (sent) return true;
  if (sent.error().sysErrno == ENODEV) return false;
  return Fail(sent.error());
}

Result<std::optional<ContainerInterface>> readInterface(const IfName& name) {
  auto driver = makeLinkDriver();
  if (!driver) return Fail(driver.error());
  auto links = (*driver)->list();
  if (!links) return Fail(links.error());
  const auto found = links->find(name);
  if (found == links->end()) return std::optional<ContainerInterface>();
  ContainerInterface read{found->second, {}};
  auto addresses = (*driver)->addresses();
  if (!addresses) return Fail(addresses.error());
  for (const auto& address : *addresses) {
    if (address.device == name) read.addresses.push_back(address.address);
  }
  return std::optional(std::move(read));
}

Result<std::optional<ContainerInterface>> readInterfaceIn(const NamespaceHandle& container,
                                                          const IfName& name) {
  std::optional<ContainerInterface> found;
  auto done = container.run([&]() -> Result<void> {
    auto read = readInterface(name);
    if (!read) return Fail(read.error());
    found = std::move(*read);
    return {};
  });
  if (!done) return Fail(done.error());
  return found;
}

using Settings = std::vector<std::pair<std::string, std::string>>;

Result<void> writeAll(const Settings& settings) {
  auto driver = makeSysctlDriver();
  if (!driver) return Fail(driver.error());
  for (const auto& [path, value] : settings) {
    // Container runtimes mount /proc/sys read-only in places; what has its value already is fine.
    const auto current = (*driver)->read(path);
    if (current && *current == value) continue;
    if (auto written = (*driver)->write(path, value); !written) return written;
  }
  return {};
}

Settings containerSettings(const WorkloadWiring& wiring) {
  const std::string forwarding = wiring.forwarding == ContainerForwarding::On ? "1" : "0";
  // New namespaces inherit these from the host, which forwards.
  Settings settings{{"net/ipv4/ip_forward", forwarding}};
  if (!hasFamily(wiring, Family::V6)) return settings;
  for (const std::string device : {"all", "default", "lo"}) {
    settings.emplace_back("net/ipv6/conf/" + device + "/disable_ipv6", "0");
  }
  const std::string own = "net/ipv6/conf/" + wiring.containerInterface;
  settings.emplace_back(own + "/disable_ipv6", "0");
  settings.emplace_back(own + "/accept_dad", "0");
  settings.emplace_back("net/ipv6/conf/all/forwarding", forwarding);
  return settings;
}

// Before the interface is up: the kernel makes the link-local address then, from the MAC, and would
// wait a second for duplicates.
Settings hostSettings(const WorkloadWiring& wiring) {
  if (!hasFamily(wiring, Family::V6)) return {};
  const std::string own = "net/ipv6/conf/" + wiring.hostInterface;
  return {{own + "/disable_ipv6", "0"}, {own + "/addr_gen_mode", "0"}, {own + "/accept_dad", "0"}};
}

Result<void> putRoutes(Requests& requests, const WorkloadWiring& wiring, int index) {
  for (const Family family : {Family::V4, Family::V6}) {
    if (!hasFamily(wiring, family)) continue;
    std::optional<Address> gateway;
    if (wiring.routing == ContainerRouting::Gateway) {
      gateway = gatewayOf(family);
      if (family == Family::V4) {
        auto reachable = requests.put("add the route to the gateway", putContainerRoute, index,
                                      Prefix::host(*gateway), std::nullopt);
        if (!reachable) return reachable;
      }
      // Also for IPv4: proxy ARP answers for the gateway only on hosts that have a route to it.
      auto known = requests.put("add the gateway's neighbour entry", putPermanentNeighbour, index,
                                *gateway, kHostSideMac);
      if (!known) return known;
    }
    auto routes = wiring.routes;
    std::erase_if(routes, [&](const Prefix& route) { return route.family() != family; });
    if (wiring.routes.empty()) {
      routes.push_back(*Prefix::parseNetwork(family == Family::V4 ? "0.0.0.0/0" : "::/0"));
    }
    for (const auto& route : routes) {
      auto put = requests.put("add route " + route.str(), putContainerRoute, index, route.masked(),
                              gateway);
      if (!put) return put;
    }
  }
  return {};
}

// Runs in the container's namespace.
Result<void> configureContainer(const WorkloadWiring& wiring) {
  const auto index = indexOf(wiring.containerInterface);
  if (!index) return Fail(index.error());
  if (*index == 0) {
    return fail(Errc::Stale, "interface " + wiring.containerInterface + " went away", ENODEV);
  }
  if (auto set = writeAll(containerSettings(wiring)); !set) return set;
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(socket.error());
  Requests requests;
  if (auto put = requests.put("raise " + wiring.containerInterface, putLinkUp, *index); !put) {
    return put;
  }
  for (const auto& address : wiring.addresses) {
    auto put = requests.put("add address " + address.str(), putHostAddress, *index, address);
    if (!put) return put;
  }
  if (auto put = putRoutes(requests, wiring, *index); !put) return put;
  return requests.send(*socket);
}

Result<void> raiseHostEnd(const WorkloadWiring& wiring, NetlinkSocket& socket) {
  if (auto set = writeAll(hostSettings(wiring)); !set) return set;
  const auto index = indexOf(wiring.hostInterface);
  if (!index) return Fail(index.error());
  Requests requests;
  auto put = requests.put("raise " + wiring.hostInterface, putLinkUp, *index);
  if (!put) return put;
  return requests.send(socket);
}

Result<void> makePair(const WorkloadWiring& wiring, NetlinkSocket& socket,
                      const NamespaceHandle& container) {
  if (auto removed = unwireHost(wiring.hostInterface); !removed) return Fail(removed.error());
  Requests requests;
  auto put = requests.put("make a veth pair", putVethPair, wiring, container.fd());
  if (!put) return put;
  return requests.send(socket);
}

}  // namespace

Result<ContainerInterface> wireWorkload(const WorkloadWiring& wiring) {
  const std::string context = "wire " + wiring.hostInterface + " to " + wiring.netns;
  if (auto valid = validate(wiring); !valid) return Fail(valid.error());
  auto container = NamespaceHandle::open(wiring.netns);
  if (!container) return Fail(withContext(container.error(), context));
  const auto own = container->isOwn();
  if (!own) return Fail(withContext(own.error(), context));
  if (*own) return fail(Errc::Invalid, context + ": that is the host's own network namespace");
  auto existing = readInterfaceIn(*container, wiring.containerInterface);
  if (!existing) return Fail(withContext(existing.error(), context));
  if (*existing) {
    return fail(Errc::Invalid,
                context + ": the container has an interface " + wiring.containerInterface, EEXIST);
  }
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return Fail(withContext(socket.error(), context));
  if (auto made = makePair(wiring, *socket, *container); !made) {
    return Fail(withContext(made.error(), context));
  }
  auto configured = container->run([&] { return configureContainer(wiring); });
  if (configured) configured = raiseHostEnd(wiring, *socket);
  Result<std::optional<ContainerInterface>> wired;
  if (configured) wired = readInterfaceIn(*container, wiring.containerInterface);
  if (configured && wired && *wired) return std::move(**wired);

  Error error = !configured ? configured.error()
                : !wired    ? wired.error()
                            : Error{Errc::Stale, ENODEV, "the interface went away again"};
  if (auto undone = unwireHost(wiring.hostInterface); !undone) {
    error.what.append("; and then: ").append(undone.error().what);
  }
  return Fail(withContext(std::move(error), context));
}

Result<std::optional<ContainerInterface>> inspectWorkload(const std::string& netns,
                                                          const IfName& containerInterface) {
  auto container = NamespaceHandle::open(netns);
  if (!container) return Fail(container.error());
  return readInterfaceIn(*container, containerInterface);
}

Result<bool> unwireContainer(const std::string& netns, const IfName& containerInterface) {
  auto container = NamespaceHandle::open(netns);
  if (!container && container.error().code == Errc::NotFound) return false;
  if (!container) return Fail(container.error());
  const auto own = container->isOwn();
  if (!own) return Fail(own.error());
  if (*own) return fail(Errc::Invalid, "unwire " + netns + ": the host's own network namespace");
  bool removed = false;
  auto done = container->run([&]() -> Result<void> {
    auto deleted = unwireHost(containerInterface);  // also there only a veth is ours
    if (!deleted) return Fail(deleted.error());
    removed = *deleted;
    return {};
  });
  if (!done) return Fail(withContext(done.error(), "unwire " + netns));
  return removed;
}

Result<bool> unwireHost(const IfName& hostInterface) {
  const auto index = indexOf(hostInterface);
  if (!index) return Fail(index.error());
  if (*index == 0) return false;  // spares the list of a node's interfaces in the usual case
  auto existing = readInterface(hostInterface);
  if (!existing) return Fail(existing.error());
  if (!*existing) return false;
  if ((*existing)->link.kind != "veth") {
    return fail(Errc::Invalid, "interface " + hostInterface + " exists and is no veth", EEXIST);
  }
  return deleteLink(hostInterface);
}

}  // namespace margay::dataplane
