#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/model/object.h"

namespace margay::api {

/// One thing that is wrong with an object.
struct FieldError {
  std::string field;   ///< "spec.ingress[0].source.selector"; empty: the document as a whole
  std::string reason;  ///< what is wrong and what to do
  auto operator<=>(const FieldError&) const = default;
};

/// A document after decoding, defaults and validation. `value` is set only when `errors` is empty,
/// and even then not for kinds that are accepted and have no effect.
struct Decoded {
  ObjectKey key;         ///< kind Unknown when it is none of ours
  std::string kindName;  ///< as written
  std::string ns;        ///< as written, with the default for namespaced kinds
  std::string name;
  std::optional<Value> value;
  std::vector<FieldError> errors;
  std::vector<std::string> warnings;  ///< the object is used all the same
};

}  // namespace margay::api
