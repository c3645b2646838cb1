#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "dataplane/drivers.h"

/// How a benchmark of the whole agent sees that the agent's rules and sets are in the kernel.
namespace margay::bench {

/// The rules and sets of one backend in the network namespace in which it was opened, read beside
/// the agent that writes them. One thread.
class RuleKernel {
 public:
  /// `backend` as in FELIX_IPTABLESBACKEND: Legacy or NFT. `lock`: for legacy tables, a file. None
  /// if the kernel lacks it; stderr says what.
  static std::unique_ptr<RuleKernel> open(const std::string& backend,
                                          const std::filesystem::path& lock);
  virtual ~RuleKernel() = default;

  [[nodiscard]] virtual std::string backend() const = 0;
  /// The kernel's own time for one commit of the rules as they are, in milliseconds, the middle
  /// of twenty, one every 20 ms.
  /// Legacy: the table of IPv4, out and in again. nf_tables: a policy of ten rules, ready made.
  virtual double commitMs() = 0;

  bool has(const std::string& set, const std::string& address);
  /// The name of a set of a selector in which the address is; empty if there is none.
  std::string selectorSetWith(const std::string& address);
  /// Another one after each change of IPv4's filter rules.
  dataplane::TableFingerprint fingerprint();
  /// In IPv4's filter table.
  std::size_t rules();

 private:
  virtual dataplane::RuleDriver& ruleDriver() = 0;
  virtual dataplane::IpsetDriver& setDriver() = 0;
};

}  // namespace margay::bench
