#pragma once

#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/xtables_encoder.h"
#include "dataplane/xtables_session.h"

namespace margay::dataplane::iptables {

/// Carries out `edit` on the session's copy of the table; the caller commits it, or drops it on
/// error. Errors name the table, the chain and the rule. Removing a chain that is not there is
/// success.
[[nodiscard]] Result<void> applyEdit(xtables::Session& session, TableId table,
                                     const TableEdit& edit, const xtables::SetIndexOf& setIndexOf);

}  // namespace margay::dataplane::iptables
