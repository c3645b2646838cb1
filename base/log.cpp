#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>

namespace margay::log {
namespace {

spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("margay", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made.flush_on(spdlog::level::debug);
    return made;
  }();
  return instance;
}

bool needsQuotes(std::string_view text) {
  return text.empty() || std::any_of(text.begin(), text.end(), [](unsigned char c) {
           return c <= ' ' || c == '"' || c == '=' || c == 0x7f;
         });
}

void append(std::string& line, std::string_view text) {
  if (!needsQuotes(text)) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  line += '"';
}

void write(spdlog::level::level_enum level, std::string_view message, Fields fields) {
  if (!logger().should_log(level)) return;
  std::string line(message);
  for (const auto& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append(line, field.value);
  }
  logger().log(level, line);
}

}  // namespace

Level parseLevel(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "debug" || lower == "trace") return Level::Debug;
  if (lower == "warn" || lower == "warning") return Level::Warn;
  if (lower == "error" || lower == "fatal") return Level::Error;
  if (lower == "none" || lower == "off") return Level::Off;
  return Level::Info;
}

void setLevel(Level level) {
  switch (level) {
    case Level::Debug:
      logger().set_level(spdlog::level::debug);
      break;
    case Level::Info:
      logger().set_level(spdlog::level::info);
      break;
    case Level::Warn:
      logger().set_level(spdlog::level::warn);
      break;
    case Level::Error:
      logger().set_level(spdlog::level::err);
      break;
    case Level::Off:
      logger().set_level(spdlog::level::off);
      break;
  }
}

void debug(std::string_view message, Fields fields) {
  write(spdlog::level::debug, message, fields);
}
void info(std::string_view message, Fields fields) {
  write(spdlog::level::info, message, fields);
}
void warn(std::string_view message, Fields fields) {
  write(spdlog::level::warn, message, fields);
}
void error(std::string_view message, Fields fields) {
  write(spdlog::level::err, message, fields);
}

}  // namespace margay::log
