#include "cmd/margayctl/get_format.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

namespace margay::ctl {
namespace {

std::string eachBy(int (*change)(int), std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [change](unsigned char c) { return static_cast<char>(change(c)); });
  return text;
}

}  // namespace

Result<GetFormat> parseGetFormat(const std::string& text) {
  using Form = GetFormat::Form;
  static const std::map<std::string, Form> kForms = {
      {"ps", Form::Narrow}, {"table", Form::Narrow}, {"wide", Form::Wide}, {"name", Form::Name},
      {"yaml", Form::Yaml}, {"yml", Form::Yaml},     {"json", Form::Json}};
  const auto equals = text.find('=');
  const auto word = eachBy(std::tolower, text.substr(0, equals));
  if (word == "go-template" || word == "go-template-file")
    return fail(Errc::Invalid, "'" + word +
                                   "' is not there: take json or yaml, and a program that reads "
                                   "it, or custom-columns=NAME,...");
  if (const auto found = kForms.find(word); found != kForms.end() && equals == text.npos)
    return GetFormat{.form = found->second, .columns = {}};
  if (word != "custom-columns")
    return fail(Errc::Invalid, "'" + text +
                                   "' is no format: ps (the default), wide, "
                                   "custom-columns=NAME,..., yaml, json or name");
  GetFormat out{.form = Form::Columns, .columns = {}};
  std::istringstream columns(equals == text.npos ? "" : text.substr(equals + 1));
  for (std::string one; std::getline(columns, one, ',');) {
    if (!one.empty()) out.columns.push_back(eachBy(std::toupper, one));
  }
  if (out.columns.empty()) return fail(Errc::Invalid, "say which columns: custom-columns=NAME,...");
  return out;
}

}  // namespace margay::ctl
