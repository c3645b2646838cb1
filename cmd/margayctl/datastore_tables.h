#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/etcd/stored_object.h"
#include "base/result.h"
#include "cmd/margayctl/get_format.h"

namespace margay::ctl {

/// The columns that calicoctl prints of a kind's objects, of those that it knows. `Errc::Invalid`
/// names a custom column that the kind has not, and those it has. `withNamespace`: also that of
/// their namespaces, where they have one.
Result<std::vector<std::string>> tableTitles(const api::StoredKind& kind, const GetFormat& format,
                                             bool withNamespace);

struct TableOf {
  const api::StoredKind& kind;
  std::vector<std::string> titles;  ///< of `tableTitles`
  std::string asNumber = "64512";   ///< of nodes that say none
};
/// The first row is the header.
[[nodiscard]] std::vector<std::vector<std::string>> objectTable(
    const TableOf& table, const std::vector<nlohmann::json>& objects);

/// The kind that a user means: "networkPolicy", "networkpolicies", "np", in any case. Null pointer
/// for none.
[[nodiscard]] const api::StoredKind* kindOfWord(std::string_view word);

}  // namespace margay::ctl
