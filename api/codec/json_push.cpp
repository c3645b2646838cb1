#include "api/codec/json_push.h"

#include <utility>

namespace margay::api {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxText = 64U << 20U;

bool isWord(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}

/// Where the next quote or backslash is.
std::size_t endOfPlain(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
  return at;
}

Fail noJson(const std::string& why) {
  return fail(Errc::Transient, "the answer is no JSON: " + why);
}

}  // namespace

Result<void> JsonPush::feed(std::string_view piece) {
  std::size_t at = 0;
  while (at < piece.size()) {
    if (auto done = step(piece, at); !done) return done;
  }
  return {};
}

Result<void> JsonPush::step(std::string_view piece, std::size_t& at) {
  switch (state_) {
    case State::Text:
      return text(piece, at);
    case State::Escape:
      return escape(piece[at++]);
    case State::Unicode:
      return unicode(piece[at++]);
    case State::Word:
      if (isWord(piece[at]))
        text_ += piece[at++];
      else
        endWord();
      if (text_.size() > 64) return noJson("a number has no end");
      return {};
    case State::Skip:
    case State::SkipText:
    case State::SkipEscape:
      return skip(piece, at);
    case State::Any:
    case State::Key:
      break;
  }
  return structural(piece[at++]);
}

Result<void> JsonPush::text(std::string_view piece, std::size_t& at) {
  const std::size_t stop = endOfPlain(piece, at);
  if (text_.size() + stop - at > kMaxText) return noJson("a string has no end");
  text_.append(piece, at, stop - at);
  at = stop;
  if (at == piece.size()) return {};
  if (piece[at++] == '"')
    endText();
  else
    state_ = State::Escape;
  return {};
}

/// Passes over one value; only strings and brackets matter.
Result<void> JsonPush::skip(std::string_view piece, std::size_t& at) {
  while (at < piece.size()) {
    if (state_ == State::SkipEscape) {
      state_ = State::SkipText;
      ++at;
      continue;
    }
    if (state_ == State::SkipText) {
      at = endOfPlain(piece, at);
      if (at == piece.size()) return {};
      state_ = piece[at++] == '"' ? State::Skip : State::SkipEscape;
      continue;
    }
    const char c = piece[at];
    const bool closes = c == '}' || c == ']';
    if (skipDepth_ == 0 && (closes || c == ',')) {
      state_ = State::Any;  // and that character is not part of the value
      return {};
    }
    ++at;
    if (c == '"') {
      state_ = State::SkipText;
    } else if (c == '{' || c == '[') {
      ++skipDepth_;
    } else if (closes) {
      --skipDepth_;
    }
  }
  return {};
}

Result<void> JsonPush::structural(char c) {
  switch (c) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
      return {};
    case ':':
      state_ = std::exchange(skipNext_, false) ? State::Skip : State::Any;
      return {};
    case ',':
      state_ = arrays_.empty() || arrays_.back() ? State::Any : State::Key;
      return {};
    case '"':
      isKey_ = state_ == State::Key;
      text_.clear();
      state_ = State::Text;
      return {};
    case '{':
    case '[':
      if (arrays_.size() == kMaxDepth) return noJson("it nests too deep");
      arrays_.push_back(c == '[');
      events_.begin(c == '[');
      state_ = c == '[' ? State::Any : State::Key;
      return {};
    case '}':
    case ']':
      return close(c == ']');
    default:
      if (!isWord(c) || state_ == State::Key) return noJson(std::string("unexpected '") + c + "'");
      text_.assign(1, c);
      state_ = State::Word;
      return {};
  }
}

Result<void> JsonPush::close(bool array) {
  if (arrays_.empty() || arrays_.back() != array) return noJson("a bracket closes nothing");
  arrays_.pop_back();
  events_.end();
  state_ = arrays_.empty() || arrays_.back() ? State::Any : State::Key;
  return {};
}

Result<void> JsonPush::escape(char c) {
  state_ = State::Text;
  switch (c) {
    case 'n':
      text_ += '\n';
      return {};
    case 't':
      text_ += '\t';
      return {};
    case 'r':
      text_ += '\r';
      return {};
    case 'b':
      text_ += '\b';
      return {};
    case 'f':
      text_ += '\f';
      return {};
    case '"':
    case '\\':
    case '/':
      text_ += c;
      return {};
    case 'u':
      state_ = State::Unicode;
      code_ = 0;
      digits_ = 0;
      return {};
    default:
      return noJson("an unknown escape");
  }
}

Result<void> JsonPush::unicode(char c) {
  const std::string_view hex = "0123456789abcdef";
  const auto digit = hex.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  if (digit == std::string_view::npos) return noJson("an unknown escape");
  code_ = code_ << 4U | static_cast<std::uint32_t>(digit);
  if (++digits_ < 4) return {};
  state_ = State::Text;
  if (code_ >= 0xD800 && code_ < 0xDC00) {
    highSurrogate_ = code_;
    return {};
  }
  if (code_ >= 0xDC00 && code_ < 0xE000)
    code_ = 0x10000 + ((highSurrogate_ & 0x3FFU) << 10U) + (code_ & 0x3FFU);
  highSurrogate_ = 0;
  appendCodePoint(code_);
  return {};
}

void JsonPush::appendCodePoint(std::uint32_t code) {
  const auto add = [this](std::uint32_t byte) { text_ += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0U | code >> 6U);
    add(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    add(0xE0U | code >> 12U);
    add(0x80U | (code >> 6U & 0x3FU));
    add(0x80U | (code & 0x3FU));
  } else {
    add(0xF0U | code >> 18U);
    add(0x80U | (code >> 12U & 0x3FU));
    add(0x80U | (code >> 6U & 0x3FU));
    add(0x80U | (code & 0x3FU));
  }
}

void JsonPush::endText() {
  state_ = State::Any;
  if (isKey_)
    events_.key(text_);
  else
    events_.string(text_);
}

void JsonPush::endWord() {
  state_ = State::Any;
  events_.scalar(text_);
}

}  // namespace margay::api
