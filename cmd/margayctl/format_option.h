#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <map>
#include <string>

namespace margay::ctl {

/// -o FORMAT: sets `target` to that of one of `formats`, whatever its case. `text` lists them, for
/// the help and for who gets it wrong. `target` outlives the parsing.
template <class T>
void addFormatOption(CLI::App* command, T& target, const std::map<std::string, T>& formats,
                     const std::string& text) {
  const auto parse = [&target, formats, text](std::string value) {
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto found = formats.find(value);
    if (found == formats.end())
      throw CLI::ValidationError("--output", "'" + value + "' is no format: " + text);
    target = found->second;
  };
  command->add_option_function<std::string>("-o,--output", parse, text)->type_name("FORMAT");
}

}  // namespace margay::ctl
