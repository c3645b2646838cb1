#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace margay::api {

/// What a JsonPush tells of, in the order of the text.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void key(std::string_view name) = 0;
  /// The text of a number, true, false or null; a string too, for who does not tell them apart.
  virtual void scalar(std::string_view text) = 0;
  /// A string without its escapes.
  virtual void string(std::string_view text) { scalar(text); }
  virtual void begin(bool isArray) = 0;
  virtual void end() = 0;
};

/// Reads JSON texts, one after the other, from pieces that may end anywhere. It keeps the string or
/// number that a piece cuts, and nothing else. It believes its sender where that does no harm:
/// commas and colons are not checked. One thread.
class JsonPush {
 public:
  explicit JsonPush(JsonEvents& events) : events_(events) {}
  /// `Errc::Transient` where the text is no JSON, nests too deep or has too long a string. Use no
  /// more after that.
  Result<void> feed(std::string_view piece);
  /// To be called while `JsonEvents::key` is told: the value of this key is passed over, which is
  /// several times as fast as to be told of it.
  void skipValue() { skipNext_ = true; }

 private:
  enum class State : std::uint8_t {
    Any,
    Key,
    Text,
    Escape,
    Unicode,
    Word,
    Skip,
    SkipText,
    SkipEscape
  };

  Result<void> step(std::string_view piece, std::size_t& at);
  Result<void> text(std::string_view piece, std::size_t& at);
  Result<void> structural(char c);
  Result<void> skip(std::string_view piece, std::size_t& at);
  Result<void> escape(char c);
  Result<void> unicode(char c);
  void appendCodePoint(std::uint32_t code);
  void endText();
  void endWord();
  Result<void> close(bool array);

  JsonEvents& events_;
  State state_ = State::Any;
  std::vector<bool> arrays_;  // what is open
  bool isKey_ = false;        // of the string that is being read
  std::string text_;
  std::uint32_t code_ = 0;
  std::uint32_t highSurrogate_ = 0;
  int digits_ = 0;
  bool skipNext_ = false;      // the value of the key that was just told
  std::size_t skipDepth_ = 0;  // open containers of the value that is passed over
};

}  // namespace margay::api
