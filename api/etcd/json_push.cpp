#include "api/etcd/json_push.h"

namespace margay::api {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxText = 64U << 20U;

bool isWord(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}

Fail noJson(const std::string& why) {
  return fail(Errc::Transient, "the answer is no JSON: " + why);
}

}  // namespace

Result<void> JsonPush::feed(std::string_view piece) {
  std::size_t at = 0;
  while (at < piece.size()) {
    Result<void> done;
    switch (state_) {
      case State::Text: {
        const std::size_t stop = std::min(piece.find_first_of("\"\\", at), piece.size());
        if (text_.size() + stop - at > kMaxText) return noJson("a string has no end");
        text_.append(piece, at, stop - at);
        at = stop;
        if (at == piece.size()) return {};
        if (piece[at++] == '"')
          endText();
        else
          state_ = State::Escape;
        break;
      }
      case State::Escape:
        done = escape(piece[at++]);
        break;
      case State::Unicode:
        done = unicode(piece[at++]);
        break;
      case State::Word:
        if (isWord(piece[at]))
          text_ += piece[at++];
        else
          endWord();
        if (text_.size() > 64) return noJson("a number has no end");
        break;
      case State::Any:
      case State::Key:
        done = structural(piece[at++]);
        break;
    }
    if (!done) return done;
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
      state_ = State::Any;
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
    events_.scalar(text_);
}

void JsonPush::endWord() {
  state_ = State::Any;
  events_.scalar(text_);
}

}  // namespace margay::api
