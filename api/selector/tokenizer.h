#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace margay::api {

enum class TokenKind : std::uint8_t {
  Label,
  String,
  LeftBrace,
  RightBrace,
  Comma,
  Equal,
  NotEqual,
  In,
  NotIn,
  Not,
  Contains,
  StartsWith,
  EndsWith,
  All,
  Global,
  Has,  ///< `text` is the label
  LeftParen,
  RightParen,
  And,
  Or,
  End,
};

/// `text` (label or string without its quotes) points into the input.
struct Token {
  TokenKind kind = TokenKind::End;
  std::string_view text;
  std::size_t position = 0;  ///< 0-based offset in the input
};

/// Splits a selector as Calico's tokenizer does, the words of operators being read after a label
/// only. The last token is End. O(length).
[[nodiscard]] Result<std::vector<Token>> tokenize(std::string_view input);

/// An error that names a place: "MESSAGE at position N".
[[nodiscard]] Fail selectorError(std::string_view message, std::size_t position);

}  // namespace margay::api
