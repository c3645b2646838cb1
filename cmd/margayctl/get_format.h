#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace margay::ctl {

/// How `get` prints objects: what follows -o.
struct GetFormat {
  enum class Form : std::uint8_t { Narrow, Wide, Columns, Name, Yaml, Json };
  Form form = Form::Narrow;
  std::vector<std::string> columns;  ///< of custom-columns, in capitals

  [[nodiscard]] bool isTable() const {
    return form == Form::Narrow || form == Form::Wide || form == Form::Columns;
  }
};

/// calicoctl's, in any case: ps, wide, yaml, json, custom-columns=NAME,NODE; and name.
/// `Errc::Invalid` says what to write instead: Go's templates are not spoken.
Result<GetFormat> parseGetFormat(const std::string& text);

}  // namespace margay::ctl
