#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

/// Who else filters packets on this host, and with what.
namespace margay::dataplane {

/// A base chain of somebody else that drops forwarded packets which it has no rule for.
struct DroppingChain {
  std::string table;  ///< "ip filter"; legacy: "filter (IPv4)"
  std::string chain;
  auto operator<=>(const DroppingChain&) const = default;
};

struct RuleSurvey {
  struct Side {
    std::size_t rules = 0;   ///< of others, in the tables that iptables has
    std::string kubernetes;  ///< the chain or table by which kubelet or kube-proxy is known
    bool ours = false;       ///< we have something there
    std::vector<DroppingChain> dropping;
    bool operator==(const Side&) const = default;
  };
  Side legacy;
  Side nft;
  bool operator==(const RuleSurvey&) const = default;
};

/// Of the network namespace of the calling thread, both families. Makes no table and loads no
/// module of legacy tables. O(chains) of nf_tables, O(rules) of legacy tables.
[[nodiscard]] Result<RuleSurvey> surveyRules();

}  // namespace margay::dataplane
