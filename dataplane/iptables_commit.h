#pragma once

#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/xtables_encoder.h"
#include "dataplane/xtables_image.h"

namespace margay::dataplane::iptables {

/// Carries out `edit` on a copy of the table; the caller writes it, or drops it on error. Errors
/// name the table, the chain and the rule. Removing a chain that is not there is success.
[[nodiscard]] Result<void> applyEdit(xtables::TableImage& image, TableId table,
                                     const TableEdit& edit, const xtables::SetIndexOf& setIndexOf);

}  // namespace margay::dataplane::iptables
