#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "dataplane/model/rule.h"
#include "dataplane/xtables_entry.h"

namespace margay::dataplane::xtables {

/// Index of the ipset of that name; its error becomes the encoder's.
using SetIndexOf = std::function<Result<std::uint16_t>(const std::string& name)>;

/// The entry that the kernel holds for `rule`. Jumps carry the chain's name as target name. The
/// comment is the last match, so that only packets that met all others pay for it. A second network
/// of one end becomes an iprange match. `Errc::Invalid`, with the rule and the reason, for what
/// iptables cannot say.
[[nodiscard]] Result<EntryBytes> encodeRule(const Rule& rule, Family family,
                                            const SetIndexOf& setIndexOf);

/// The parts of `encodeRule`. Each takes what is its own and says Invalid with the reason alone.
[[nodiscard]] Result<EntryHead> encodeMatches(const Rule& rule, Family family,
                                              const SetIndexOf& setIndexOf, EntryBuilder& builder);
[[nodiscard]] Result<void> encodeAction(const Rule& rule, Family family, EntryHead& head,
                                        EntryBuilder& builder);

/// Protocols that have ports and that multiport takes.
[[nodiscard]] bool hasPorts(const std::optional<ProtocolMatch>& protocol);

}  // namespace margay::dataplane::xtables
