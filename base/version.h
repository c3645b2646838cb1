#pragma once

#include <string_view>

namespace margay {

/// Of this build; equal to the project version in CMakeLists.txt.
inline constexpr std::string_view kVersion = MARGAY_VERSION;

}  // namespace margay
