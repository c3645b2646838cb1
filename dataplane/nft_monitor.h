#pragma once

#include <cstdint>
#include <set>

#include "base/result.h"
#include "dataplane/model/ipset.h"

namespace margay::dataplane {

/// What somebody else did to our tables since the last read.
struct NftEvents {
  std::set<Family> rules;  ///< chains or rules of these families
  std::set<SetName> sets;
  bool overflow = false;  ///< notifications were lost: anything may have changed
  [[nodiscard]] bool empty() const { return rules.empty() && sets.empty() && !overflow; }
};

/// The kernel's notifications about nf_tables in the network namespace of the thread that opened
/// it, without those of our own changes. One thread.
class NftMonitor {
 public:
  /// `ownPort`: of the socket that makes our changes.
  static Result<NftMonitor> open(std::uint32_t ownPort);
  NftMonitor(NftMonitor&& other) noexcept;
  NftMonitor& operator=(NftMonitor&&) = delete;
  ~NftMonitor();

  [[nodiscard]] int fd() const { return fd_; }
  /// Drains the socket; never blocks.
  NftEvents read();

 private:
  NftMonitor(int fd, std::uint32_t ownPort) : fd_(fd), ownPort_(ownPort) {}
  int fd_;
  std::uint32_t ownPort_;
};

}  // namespace margay::dataplane
