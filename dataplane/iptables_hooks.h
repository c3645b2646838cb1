#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/xtables_image.h"

namespace margay::dataplane::iptables {

/// The position that a comment in the kernel stands for; no value if the rule is not ours.
[[nodiscard]] std::optional<Position> hookPosition(std::string_view kernelComment);
/// The rule with the comment that the kernel holds for it in that position. `Errc::Invalid` if the
/// comment cannot be known again as ours and of that position.
[[nodiscard]] Result<Rule> toKernel(const Rule& rule, Position position);
/// Turns the comment of an entry from the kernel back into the caller's.
void fromKernel(xtables::EntryBytes& entry, Family family);

/// Takes all rules of ours in that position out of the chain and puts `entries` in.
[[nodiscard]] Result<void> replaceHooks(xtables::TableImage& image, const HookKey& key,
                                        const std::vector<xtables::EntryBytes>& entries);

}  // namespace margay::dataplane::iptables
