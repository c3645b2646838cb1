#pragma once

#include <string>
#include <string_view>

namespace margay::api {

/// RFC 4648, with padding.
[[nodiscard]] std::string base64Encode(std::string_view bytes);
/// Replaces `out` by the bytes of `text`. False if it is no base64; padding may be missing.
[[nodiscard]] bool base64Decode(std::string_view text, std::string& out);

}  // namespace margay::api
