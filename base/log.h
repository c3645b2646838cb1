#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

/// Structured logging to stderr: a constant message, data in fields.
///   error: a person must act. warn: we retry. info: state changed. debug: one line an object.
/// Any thread. Never log a secret or a whole object.
namespace margay::log {

enum class Level { Debug, Info, Warn, Error, Off };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class T>
  requires std::is_arithmetic_v<T> Field(std::string_view k, T v)
      : key(k), value(std::to_string(v)) {}
};

using Fields = std::initializer_list<Field>;

/// "debug", "info", "warning", "warn", "error", "fatal", "none" in any case; anything else is Info.
[[nodiscard]] Level parseLevel(std::string_view text);
void setLevel(Level level);

void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warn(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace margay::log
