#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/model/rule.h"
#include "dataplane/nfnetlink_socket.h"

/// Who else filters packets on this host, and with what.
namespace margay::dataplane {

class KernelIpsetDriver;

/// FORWARD or INPUT of the filter table of iptables, legacy or over nf_tables.
struct FilterChain {
  Family family = Family::V4;
  BaseChain chain = BaseChain::Forward;
  auto operator<=>(const FilterChain&) const = default;
};

/// A base chain that a tool other than iptables made.
struct NativeChain {
  std::string table;  ///< "inet firewall"
  std::string chain;
  auto operator<=>(const NativeChain&) const = default;
};

struct RuleSurvey {
  struct Side {
    std::size_t rules = 0;   ///< of others, in the tables that iptables has
    std::string kubernetes;  ///< the chain or table by which kubelet or kube-proxy is known
    bool ours = false;       ///< we have chains or sets there
    /// Those that drop by policy: what they have no rule for is lost.
    std::set<FilterChain> dropping;
    /// Those with a rule of ours at their end.
    std::set<FilterChain> accepting;
    bool operator==(const Side&) const = default;
  };
  Side legacy;
  Side nft;
  bool kubeProxyUsesNft = false;  ///< its table is there
  /// Of nf_tables, not of iptables, that drop forwarded packets by policy.
  std::vector<NativeChain> nativeDropping;
  bool operator==(const RuleSurvey&) const = default;
};

/// Looks at the network namespace of the thread that calls, always the same, both families. Makes
/// no table and loads no module of legacy tables. O(rules) of legacy tables, O(chains) of nf_tables
/// where anybody changed something there since the last look. One thread.
class RuleSurveyor {
 public:
  RuleSurveyor();
  ~RuleSurveyor();
  RuleSurveyor(RuleSurveyor&&) noexcept;
  RuleSurveyor& operator=(RuleSurveyor&&) noexcept;

  [[nodiscard]] Result<RuleSurvey> survey();

 private:
  Result<void> surveyNft();
  [[nodiscard]] bool hasOwnSets();

  std::optional<NfnetlinkSocket> socket_;
  std::unique_ptr<KernelIpsetDriver> sets_;
  std::optional<std::uint32_t> generation_;  // of nf_tables, when nft_ was seen
  RuleSurvey nft_;                           // what nf_tables tells
};

/// One look.
[[nodiscard]] inline Result<RuleSurvey> surveyRules() {
  return RuleSurveyor().survey();
}

}  // namespace margay::dataplane
