#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/etcd/stored_object.h"

namespace margay::ctl {

enum class TableForm { Narrow, Wide };

/// The table that calicoctl prints for objects of a kind; the first row is the header.
/// `withNamespace`: a column of their namespaces.
[[nodiscard]] std::vector<std::vector<std::string>> objectTable(
    const api::StoredKind& kind, const std::vector<nlohmann::json>& objects, TableForm form,
    bool withNamespace);

/// The kind that a user means: "networkPolicy", "networkpolicies", "np", in any case. Null pointer
/// for none.
[[nodiscard]] const api::StoredKind* kindOfWord(std::string_view word);

}  // namespace margay::ctl
