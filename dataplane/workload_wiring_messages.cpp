#include "dataplane/workload_wiring_messages.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <cerrno>
#include <memory>

namespace margay::dataplane {
namespace {

struct Release {
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
  void operator()(rtnl_addr* address) const { rtnl_addr_put(address); }
  void operator()(rtnl_route* route) const { rtnl_route_put(route); }
  void operator()(rtnl_neigh* neighbour) const { rtnl_neigh_put(neighbour); }
  void operator()(nl_addr* address) const { nl_addr_put(address); }
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

Owned<nl_addr> addressOf(const Prefix& prefix) {
  const auto bytes = prefix.address.bytes();
  Owned<nl_addr> address(nl_addr_build(afOf(prefix.family()), bytes.data(), bytes.size()));
  if (address) nl_addr_set_prefixlen(address.get(), prefix.length);
  return address;
}

Owned<nl_addr> addressOf(const MacAddress& mac) {
  return Owned<nl_addr>(nl_addr_build(AF_LLC, mac.data(), mac.size()));
}

Fail outOfMemory() {
  return Fail(systemError(ENOMEM, "build a netlink message"));
}

// Moves what `build` made to the batch, which counts, numbers and sends it.
template <class Build>
Result<void> append(NetlinkBatch& batch, Build build) {
  nl_msg* made = nullptr;
  if (const int error = build(&made); error < 0) {
    return fail(Errc::Bug, std::string("build a netlink message: ") + nl_geterror(error));
  }
  const Owned<nl_msg> message(made);
  const nlmsghdr* head = nlmsg_hdr(made);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(head);
  batch.message({bytes, head->nlmsg_len});
  return {};
}

}  // namespace

Result<void> putVethPair(NetlinkBatch& batch, const WorkloadWiring& wiring, int netnsFd) {
  const Owned<rtnl_link> host(rtnl_link_veth_alloc());
  const auto hostMac = addressOf(kHostSideMac);
  if (!host || !hostMac) return outOfMemory();
  const Owned<rtnl_link> peer(rtnl_link_veth_get_peer(host.get()));
  rtnl_link_set_name(host.get(), wiring.hostInterface.c_str());
  rtnl_link_set_addr(host.get(), hostMac.get());
  rtnl_link_set_mtu(host.get(), wiring.mtu);
  rtnl_link_set_name(peer.get(), wiring.containerInterface.c_str());
  rtnl_link_set_mtu(peer.get(), wiring.mtu);
  rtnl_link_set_ns_fd(peer.get(), netnsFd);
  if (wiring.containerMac) {
    const auto mac = addressOf(*wiring.containerMac);
    if (!mac) return outOfMemory();
    rtnl_link_set_addr(peer.get(), mac.get());
  }
  return append(batch, [&](nl_msg** made) {
    return rtnl_link_build_add_request(host.get(), NLM_F_CREATE | NLM_F_EXCL, made);
  });
}

Result<void> putLinkUp(NetlinkBatch& batch, int index) {
  const Owned<rtnl_link> link(rtnl_link_alloc());
  const Owned<rtnl_link> change(rtnl_link_alloc());
  if (!link || !change) return outOfMemory();
  rtnl_link_set_ifindex(link.get(), index);
  rtnl_link_set_flags(change.get(), IFF_UP);
  return append(batch, [&](nl_msg** made) {
    return rtnl_link_build_change_request(link.get(), change.get(), 0, made);
  });
}

Result<void> putLinkDelete(NetlinkBatch& batch, int index) {
  const Owned<rtnl_link> link(rtnl_link_alloc());
  if (!link) return outOfMemory();
  rtnl_link_set_ifindex(link.get(), index);
  return append(batch,
                [&](nl_msg** made) { return rtnl_link_build_delete_request(link.get(), made); });
}

Result<void> putHostAddress(NetlinkBatch& batch, int index, const Address& address) {
  const Owned<rtnl_addr> entry(rtnl_addr_alloc());
  const auto local = addressOf(Prefix::host(address));
  if (!entry || !local) return outOfMemory();
  rtnl_addr_set_ifindex(entry.get(), index);
  rtnl_addr_set_local(entry.get(), local.get());
  if (address.family() == Family::V6) rtnl_addr_set_flags(entry.get(), IFA_F_NODAD);
  return append(batch, [&](nl_msg** made) {
    return rtnl_addr_build_add_request(entry.get(), NLM_F_CREATE | NLM_F_EXCL, made);
  });
}

Result<void> putContainerRoute(NetlinkBatch& batch, int index, const Prefix& destination,
                               const std::optional<Address>& gateway) {
  const Owned<rtnl_route> route(rtnl_route_alloc());
  const auto to = addressOf(destination);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  if (!route || !to || hop == nullptr) {
    if (hop != nullptr) rtnl_route_nh_free(hop);
    return outOfMemory();
  }
  rtnl_route_add_nexthop(route.get(), hop);  // owns it from here
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(afOf(destination.family())));
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(route.get(), RTPROT_BOOT);
  rtnl_route_set_type(route.get(), RTN_UNICAST);
  const bool linkScope = !gateway && destination.family() == Family::V4;
  rtnl_route_set_scope(route.get(), linkScope ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  if (const int error = rtnl_route_set_dst(route.get(), to.get()); error < 0) {
    return fail(Errc::Bug, std::string("build a route: ") + nl_geterror(error));
  }
  if (gateway) {
    const auto via = addressOf(Prefix::host(*gateway));
    if (!via) return outOfMemory();
    rtnl_route_nh_set_gateway(hop, via.get());
  }
  return append(batch, [&](nl_msg** made) {
    return rtnl_route_build_add_request(route.get(), NLM_F_CREATE | NLM_F_EXCL, made);
  });
}

Result<void> putPermanentNeighbour(NetlinkBatch& batch, int index, const Address& address,
                                   const MacAddress& mac) {
  const Owned<rtnl_neigh> entry(rtnl_neigh_alloc());
  const auto destination = addressOf(Prefix::host(address));
  const auto lladdr = addressOf(mac);
  if (!entry || !destination || !lladdr) return outOfMemory();
  rtnl_neigh_set_ifindex(entry.get(), index);
  rtnl_neigh_set_dst(entry.get(), destination.get());
  rtnl_neigh_set_lladdr(entry.get(), lladdr.get());
  rtnl_neigh_set_state(entry.get(), NUD_PERMANENT);
  return append(batch, [&](nl_msg** made) {
    return rtnl_neigh_build_add_request(entry.get(), NLM_F_CREATE | NLM_F_REPLACE, made);
  });
}

}  // namespace margay::dataplane
