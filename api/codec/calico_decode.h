#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "api/codec/decoded.h"
#include "api/codec/json_reader.h"

namespace margay::api {

/// Whether documents of this apiVersion are for `decodeCalico`: projectcalico.org/v3, and
/// crd.projectcalico.org/v1, whose kinds have the same fields.
[[nodiscard]] bool isCalicoApiVersion(std::string_view apiVersion);

/// Decodes one object, sets Calico's defaults and validates as Calico does; every problem is
/// reported, not only the first. Fields that the kind does not have are errors. Staged policies,
/// host endpoints and kinds for other parts of Calico are valid, have no value, and say so in a
/// warning. Never throws; any thread; O(document).
/// With `UnknownFields::Ignored`, as is right for what other programs have stored, fields that the
/// kind does not have are none.
[[nodiscard]] Decoded decodeCalico(const nlohmann::json& document,
                                   UnknownFields unknown = UnknownFields::Errors);

}  // namespace margay::api
