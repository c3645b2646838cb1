#pragma once

#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/xtables_entry.h"

/// Fields of an entry in the kernel's form, by its first byte: what a pass over all entries of a
/// table reads, and no more of them. The caller has checked that they are within the table.
namespace margay::dataplane::xtables::raw {

/// Behind the header of a standard target.
inline constexpr std::size_t kVerdictOffset = aligned(sizeof(xt_entry_target));

inline std::size_t headSize(Family family) {
  return family == Family::V4 ? sizeof(ipt_entry) : sizeof(ip6t_entry);
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline std::uint16_t targetOffset(const std::byte* entry, Family family) {
  return load<std::uint16_t>(entry + (family == Family::V4 ? offsetof(ipt_entry, target_offset)
                                                           : offsetof(ip6t_entry, target_offset)));
}
/// The entry's length.
inline std::uint16_t nextOffset(const std::byte* entry, Family family) {
  return load<std::uint16_t>(entry + (family == Family::V4 ? offsetof(ipt_entry, next_offset)
                                                           : offsetof(ip6t_entry, next_offset)));
}
inline const char* targetName(const std::byte* entry, Family family) {
  return reinterpret_cast<const char*>(entry + targetOffset(entry, family)) +
         offsetof(xt_entry_target, u.user.name);
}
/// In the kernel's form standard targets have no name.
inline bool isStandard(const std::byte* entry, Family family) {
  return *targetName(entry, family) == '\0';
}
inline int verdictOf(const std::byte* entry, Family family) {
  return load<int>(entry + targetOffset(entry, family) + kVerdictOffset);
}
inline void setVerdict(std::byte* entry, Family family, int verdict) {
  std::memcpy(entry + targetOffset(entry, family) + kVerdictOffset, &verdict, sizeof verdict);
}

}  // namespace margay::dataplane::xtables::raw
