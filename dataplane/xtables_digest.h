#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/drivers.h"
#include "dataplane/xtables_entry.h"

namespace margay::dataplane::xtables {

/// Name of the ipset with that index; empty if there is none.
using SetNameOf = std::function<const std::string&(std::uint16_t index)>;

/// 64 bits over all that makes a rule what it is: conditions, matches, target. Counters and what
/// the kernel scribbles into a rule are left out; a set counts by its name, and a standard target
/// by `verdict`: ACCEPT, DROP, RETURN or the chain that it jumps to; without a value the target is
/// an extension. So an encoded rule and the same rule read
/// from the kernel have one digest, also after a set or chain was made anew.
[[nodiscard]] RuleDigest digestOf(const EntryView& entry, std::optional<std::string_view> verdict,
                                  const SetNameOf& setNameOf);

}  // namespace margay::dataplane::xtables
