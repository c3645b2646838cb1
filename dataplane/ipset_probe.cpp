#include "dataplane/ipset_probe.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>

#include <cerrno>
#include <string>

#include "dataplane/ipset_message.h"
#include "dataplane/nfnetlink_socket.h"

namespace margay::dataplane {
namespace {

struct Needed {
  SetType type;
  const char* module;
  const char* option;
};
constexpr Needed kNeeded[] = {
    {SetType::HashNet, "ip_set_hash_net", "CONFIG_IP_SET_HASH_NET"},
    {SetType::HashIpPort, "ip_set_hash_ipport", "CONFIG_IP_SET_HASH_IPPORT"},
    {SetType::HashNetIface, "ip_set_hash_netiface", "CONFIG_IP_SET_HASH_NETIFACE"},
};

Fail missing(const std::string& what, const std::string& module, const std::string& option,
             int number) {
  return fail(Errc::Unsupported,
              what + ": modprobe " + module + ", or use a kernel built with " + option, number);
}

Fail forbidden() {
  return fail(Errc::Unsupported,
              "ipset: not permitted in this network namespace: run as root, or with CAP_NET_ADMIN",
              EPERM);
}

}  // namespace

Result<void> probeIpset() {
  auto socket = NfnetlinkSocket::open();
  if (!socket)
    return missing("ipset: the kernel has no nfnetlink", "nfnetlink", "CONFIG_NETFILTER_NETLINK",
                   socket.error().sysErrno);
  IpsetMessages request(256);
  request.begin(IPSET_CMD_PROTOCOL, NLM_F_ACK, socket->sequences());
  request.end();
  if (const auto spoken = socket->request(request.view()); !spoken) {
    if (spoken.error().sysErrno == EPERM) return forbidden();
    // nfnetlink answers EINVAL for a subsystem that nobody registered.
    return missing("ipset: the kernel has none", "ip_set", "CONFIG_IP_SET",
                   spoken.error().sysErrno);
  }
  for (const auto& needed : kNeeded) {
    for (const auto family : {Family::V4, Family::V6}) {
      request.clear();
      request.begin(IPSET_CMD_TYPE, NLM_F_ACK, socket->sequences());
      request.putString(IPSET_ATTR_TYPENAME, kernelTypeName(needed.type));
      request.putU8(IPSET_ATTR_FAMILY, static_cast<std::uint8_t>(afOf(family)));
      request.end();
      const auto known = socket->request(request.view());
      if (known) continue;
      return missing(std::string("ipset: the kernel has no ") + kernelTypeName(needed.type),
                     needed.module, needed.option, known.error().sysErrno);
    }
  }
  return {};
}

}  // namespace margay::dataplane
