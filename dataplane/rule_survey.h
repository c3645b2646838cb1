#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/model/rule.h"

/// Who else filters packets on this host, and with what.
namespace margay::dataplane {

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

/// Of the network namespace of the calling thread, both families. Makes no table and loads no
/// module of legacy tables. O(chains) of nf_tables, O(rules) of legacy tables.
[[nodiscard]] Result<RuleSurvey> surveyRules();

}  // namespace margay::dataplane
