#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "dataplane/model/rule.h"

namespace margay::testing {

/// Rules that a table of iptables can hold, over all kinds of matches and actions that are valid in
/// it. Jumps lead to one of `chains`, set matches to one of `sets` (hash:net).
[[nodiscard]] rc::Gen<dataplane::Rule> iptablesRule(dataplane::TableId table,
                                                    std::vector<dataplane::ChainName> chains,
                                                    std::vector<std::string> sets);

}  // namespace margay::testing
