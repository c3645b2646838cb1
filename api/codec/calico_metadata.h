#pragma once

#include <string>

#include "api/codec/json_reader.h"
#include "api/model/labels.h"

namespace margay::api {

/// Sizes and keys of `annotations` of a metadata object.
void checkAnnotations(const JsonReader& metadata);

/// A map of labels in `key`, with what is no valid label reported.
[[nodiscard]] LabelMap readLabels(const JsonReader& reader, std::string_view key);

}  // namespace margay::api
