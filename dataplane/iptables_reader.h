#pragma once

#include "dataplane/drivers.h"
#include "dataplane/xtables_digest.h"
#include "dataplane/xtables_session.h"

namespace margay::dataplane::iptables {

/// Our part of the table: digests of the rules of our chains and of our hooks. Rules of others are
/// counted; in base chains their comment is looked at, nothing else. The fingerprint is left empty.
[[nodiscard]] ObservedTable observe(const xtables::Session& session,
                                    const xtables::SetNameOf& setNameOf);

/// Digest of each rule as `observe` gives it. `Errc::Invalid` for what iptables cannot hold.
[[nodiscard]] Result<std::vector<RuleDigest>> digestRules(std::span<const Rule> rules,
                                                          Family family);

/// The verdict of a rule as `digestOf` takes it.
[[nodiscard]] std::optional<std::string_view> verdictOf(const Action& action);

}  // namespace margay::dataplane::iptables
