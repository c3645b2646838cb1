#pragma once

#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <iterator>
#include <vector>

/// What the kernel itself takes to hand out a legacy table and to take it back.
namespace margay::bench {

/// The filter table of IPv4, in the network namespace in which it was made. The shortest loop: out
/// of the kernel and, unchanged, back into it.
class KernelTable {
 public:
  KernelTable() : fd_(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)) {}
  ~KernelTable() { close(fd_); }
  KernelTable(const KernelTable&) = delete;
  KernelTable& operator=(const KernelTable&) = delete;

  bool run() {
    ipt_getinfo info{};
    std::strcpy(info.name, "filter");
    socklen_t size = sizeof info;
    if (getsockopt(fd_, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) != 0) return false;
    read_.resize(sizeof(ipt_get_entries) + info.size);
    auto* entries = reinterpret_cast<ipt_get_entries*>(read_.data());
    std::strcpy(entries->name, "filter");
    entries->size = info.size;
    size = static_cast<socklen_t>(read_.size());
    if (getsockopt(fd_, IPPROTO_IP, IPT_SO_GET_ENTRIES, read_.data(), &size) != 0) return false;

    write_.resize(sizeof(ipt_replace) + info.size);
    counters_.resize(info.num_entries);
    ipt_replace replace{};
    std::strcpy(replace.name, "filter");
    replace.valid_hooks = info.valid_hooks;
    replace.num_entries = replace.num_counters = info.num_entries;
    replace.size = info.size;
    std::copy(std::begin(info.hook_entry), std::end(info.hook_entry), replace.hook_entry);
    std::copy(std::begin(info.underflow), std::end(info.underflow), replace.underflow);
    replace.counters = counters_.data();
    std::memcpy(write_.data(), &replace, sizeof replace);
    std::memcpy(write_.data() + sizeof replace, entries->entrytable, info.size);
    size = static_cast<socklen_t>(write_.size());
    return setsockopt(fd_, IPPROTO_IP, IPT_SO_SET_REPLACE, write_.data(), size) == 0;
  }

 private:
  int fd_;
  std::vector<char> read_;
  std::vector<char> write_;
  std::vector<xt_counters> counters_;
};

}  // namespace margay::bench
