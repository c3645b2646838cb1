#include "dataplane/ipset_error.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/ipset/ip_set_hash.h>

#include <cerrno>

namespace margay::dataplane {
namespace {

struct Meaning {
  Errc code;
  const char* text;
};

Meaning meaningOf(int number) {
  switch (number) {
    case IPSET_ERR_PROTOCOL:
      return {Errc::Invalid, "the kernel does not take the request for this type of set"};
    case IPSET_ERR_FIND_TYPE:
      return {Errc::Unsupported,
              "the kernel lacks this type of set: modprobe ip_set_hash_net ip_set_hash_ipport "
              "ip_set_hash_netiface"};
    case IPSET_ERR_MAX_SETS:
      return {Errc::Transient,
              "the kernel has no room for more sets: load ip_set with a larger max_sets"};
    case IPSET_ERR_BUSY:
      return {Errc::Transient, "a rule or another set refers to it"};
    case IPSET_ERR_EXIST_SETNAME2:
      return {Errc::NotFound, "the second set does not exist"};
    case IPSET_ERR_TYPE_MISMATCH:
      return {Errc::Invalid, "the sets differ in type or family"};
    case IPSET_ERR_EXIST:
      return {Errc::Stale, "it is there already, or gone already"};
    case IPSET_ERR_INVALID_CIDR:
      return {Errc::Invalid, "the set cannot hold this prefix length"};
    case IPSET_ERR_INVALID_FAMILY:
    case IPSET_ERR_IPADDR_IPV4:
    case IPSET_ERR_IPADDR_IPV6:
      return {Errc::Invalid, "the set is of the other IP family"};
    case IPSET_ERR_REFERENCED:
      return {Errc::Transient, "a rule refers to it"};
    case IPSET_ERR_HASH_FULL:
      return {Errc::Invalid, "the set is full"};
    case IPSET_ERR_HASH_ELEM:
      return {Errc::Invalid, "the kernel cannot hold a member that is all zeros"};
    case IPSET_ERR_INVALID_PROTO:
    case IPSET_ERR_MISSING_PROTO:
      return {Errc::Invalid, "the set cannot hold this protocol"};
    case EPERM:
      return {Errc::Unsupported, "not permitted: run as root, or with CAP_NET_ADMIN"};
    default:
      return {Errc::Invalid, nullptr};
  }
}

}  // namespace

Error ipsetError(int number, const std::string& context) {
  const Meaning meaning = meaningOf(number);
  if (meaning.text != nullptr) return Error{meaning.code, number, context + ": " + meaning.text};
  if (number < IPSET_ERR_PRIVATE) return systemError(number, context);
  return Error{Errc::Invalid, number, context + ": ipset error " + std::to_string(number)};
}

std::string changeText(const SetName& set, const Change<SetMember>& change) {
  const bool remove = change.op == Op::Remove;
  return (remove ? "remove " : "add ") + change.value.str() +
         (remove ? " from ipset " : " to ipset ") + set;
}

bool isFull(int number) {
  return number == IPSET_ERR_HASH_FULL;
}

Error fullError(const SetHeader& header, const Change<SetMember>& change) {
  const std::string context = changeText(header.spec.name, change);
  if (header.spec.type == SetType::HashNetIface && header.entries < header.spec.maxElements) {
    return Error{
        Errc::Invalid, IPSET_ERR_HASH_FULL,
        context +
            ": 64 interfaces have this prefix already, and the kernel takes no more: match "
            "the interfaces by name instead"};
  }
  return Error{Errc::Invalid, IPSET_ERR_HASH_FULL,
               context + ": the set is full (" + std::to_string(header.entries) + " of " +
                   std::to_string(header.spec.maxElements) + " members): raise FELIX_MAXIPSETSIZE"};
}

}  // namespace margay::dataplane
