#include "api/config/parameters.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/result.h"

namespace margay::api {
namespace {

using Type = ParameterSpec::Type;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto at = text.find(separator);
    const auto part = trim(text.substr(0, at));
    if (!part.empty()) out.emplace_back(part);
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
  }
  return out;
}

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> decimal(std::string_view text) {
  double value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() ||
      !std::isfinite(value))
    return std::nullopt;
  return value;
}

/// Plain numbers in the parameter's own unit, or Go durations ("90s", "1m30s", "250ms") as the
/// resource has them. The result is in the unit of the parameter.
std::optional<double> durationValue(std::string_view text, double unitSeconds) {
  if (const auto plain = decimal(text)) return *plain < 0 ? std::nullopt : plain;
  double seconds = 0;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() &&
           (std::isdigit(static_cast<unsigned char>(text[digits])) || text[digits] == '.'))
      ++digits;
    const auto amount = decimal(text.substr(0, digits));
    if (!amount) return std::nullopt;
    text.remove_prefix(digits);
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const auto& u) {
      return text.substr(0, u.first.size()) == u.first;
    });
    if (unit == std::end(kUnits)) return std::nullopt;
    seconds += *amount * unit->second;
    text.remove_prefix(unit->first.size());
  }
  return seconds / unitSeconds;
}

std::string decimalText(double value) {
  std::string out = std::to_string(value);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

std::optional<std::string> normaliseOneOf(const ParameterSpec& spec, std::string_view raw,
                                          std::string& why) {
  for (const auto& choice : split(spec.choices, ',')) {
    if (lower(choice) == lower(raw)) return choice;
  }
  why = "must be one of " + std::string(spec.choices);
  return std::nullopt;
}

std::optional<std::string> normaliseInterfaceNames(std::string_view raw, std::string& why) {
  const auto names = split(raw, ',');
  const bool good = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name.size() <= 15 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
             return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '+';
           });
  });
  if (good) return std::string(raw);
  why = "must be names of at most 15 letters, digits, '_', '-' or '.', separated by commas";
  return std::nullopt;
}

std::optional<std::string> normalisePortRange(std::string_view raw, std::string& why) {
  const auto colon = raw.find_first_of(":-");
  const auto first = number<std::uint16_t>(raw.substr(0, colon));
  const auto last =
      colon == std::string_view::npos ? first : number<std::uint16_t>(raw.substr(colon + 1));
  if (first && last && *first <= *last) return std::to_string(*first) + ':' + std::to_string(*last);
  why = "must be a port or a range such as 32768:65535";
  return std::nullopt;
}

std::optional<std::string> normaliseRateLimit(std::string_view raw, std::string& why) {
  const auto slash = raw.find('/');
  const auto count = number<std::uint32_t>(raw.substr(0, slash));
  const auto unit = slash == std::string_view::npos ? std::string() : lower(raw.substr(slash + 1));
  const bool knownUnit = unit == "second" || unit == "minute" || unit == "hour" || unit == "day";
  if (count && *count >= 1 && *count <= 9999 && knownUnit) return std::string(raw);
  why = "must be a rate such as 100/minute";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> normalise(const ParameterSpec& spec, std::string_view raw,
                                     std::string& why) {
  raw = trim(raw);
  if (raw.empty() && spec.defaultValue.empty()) return std::string();
  switch (spec.type) {
    case Type::Bool: {
      const auto text = lower(raw);
      if (text == "true" || text == "1" || text == "yes" || text == "y" || text == "t" ||
          text == "on" || text == "enabled")
        return "true";
      if (text == "false" || text == "0" || text == "no" || text == "n" || text == "f" ||
          text == "off" || text == "disabled")
        return "false";
      why = "must be true or false";
      return std::nullopt;
    }
    case Type::Integer:
      if (number<std::int64_t>(raw)) return std::string(raw);
      why = "must be an integer";
      return std::nullopt;
    case Type::Seconds:
    case Type::Milliseconds:
      if (const auto value = durationValue(raw, spec.type == Type::Seconds ? 1.0 : 1e-3))
        return decimalText(*value);
      why = spec.type == Type::Seconds ? "must be a number of seconds"
                                       : "must be a number of milliseconds";
      return std::nullopt;
    case Type::OneOf:
      return normaliseOneOf(spec, raw, why);
    case Type::Mask: {
      const bool hex = raw.starts_with("0x") || raw.starts_with("0X");
      if (number<std::uint32_t>(hex ? raw.substr(2) : raw, hex ? 16 : 10)) return std::string(raw);
      why = "must be a 32-bit mask such as 0xffff0000";
      return std::nullopt;
    }
    case Type::Ipv4:
    case Type::Ipv6: {
      const auto address = Address::parse(raw);
      const auto family = spec.type == Type::Ipv4 ? Family::V4 : Family::V6;
      if (address && address->family() == family) return address->str();
      why = family == Family::V4 ? "must be an IPv4 address" : "must be an IPv6 address";
      return std::nullopt;
    }
    case Type::PortRange:
      return normalisePortRange(raw, why);
    case Type::InterfaceNames:
      return normaliseInterfaceNames(raw, why);
    case Type::RateLimit:
      return normaliseRateLimit(raw, why);
    case Type::Text:
      return std::string(raw);
  }
  return std::nullopt;
}

namespace {

struct Layer {
  std::map<std::string, std::string> values;  // lower-case name -> raw
  std::map<std::string, std::string> origins;
  bool local = true;
};

Layer environmentLayer(const std::map<std::string, std::string>& environment) {
  Layer layer;
  for (const auto& [name, value] : environment) {
    const auto key = lower(name);
    if (!key.starts_with("felix_")) continue;
    layer.values[key.substr(6)] = value;
    layer.origins[key.substr(6)] = "environment " + name;
  }
  return layer;
}

Layer fileLayer(const std::string& fileName, std::string_view text) {
  Layer layer;
  for (const auto& line : split(text, '\n')) {
    if (line.front() == '#' || line.front() == ';' || line.front() == '[') continue;
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const auto key = lower(trim(std::string_view(line).substr(0, equals)));
    layer.values[key] = trim(std::string_view(line).substr(equals + 1));
    layer.origins[key] = "file " + fileName;
  }
  return layer;
}

Layer objectLayer(const std::optional<FelixConfiguration>& object) {
  Layer layer;
  layer.local = false;
  if (!object) return layer;
  for (const auto& [name, value] : object->parameters) {
    layer.values[lower(name)] = value;
    layer.origins[lower(name)] = "FelixConfiguration " + object->name;
  }
  return layer;
}

/// Names under which a resource may have a parameter: its own, or without the unit that Felix' own
/// name ends in (`reportingInterval` for ReportingIntervalSecs).
std::vector<std::string> keysOf(const ParameterSpec& spec, const Layer& layer) {
  std::vector<std::string> keys = {lower(spec.name)};
  if (layer.local) return keys;
  for (const std::string_view suffix : {"secs", "millis"}) {
    if (keys[0].ends_with(suffix))
      keys.push_back(keys[0].substr(0, keys[0].size() - suffix.size()));
  }
  if (spec.name == "IpInIpEnabled") keys.emplace_back("ipipenabled");
  if (spec.name == "IpInIpMtu") keys.emplace_back("ipipmtu");
  if (spec.name == "ExternalNodesCIDRList") keys.emplace_back("externalnodeslist");
  return keys;
}

}  // namespace

Parameters Parameters::resolve(const ParameterSources& sources) {
  const Layer layers[] = {environmentLayer(sources.environment),
                          fileLayer(sources.fileName, sources.fileText),
                          objectLayer(sources.perHost), objectLayer(sources.global)};
  Parameters out;
  for (const auto& spec : parameterSpecs()) {
    ParameterValue chosen{std::string(spec.defaultValue), "default"};
    for (const auto& layer : layers) {
      if (!layer.local && spec.scope == ParameterSpec::Scope::Local) continue;
      const auto keys = keysOf(spec, layer);
      const auto key = std::find_if(keys.begin(), keys.end(),
                                    [&](const auto& k) { return layer.values.contains(k); });
      if (key == keys.end()) continue;
      std::string why;
      if (auto value = normalise(spec, layer.values.at(*key), why)) {
        chosen = {std::move(*value), layer.origins.at(*key)};
        break;
      }
      out.problems_.push_back({std::string(spec.name), layer.origins.at(*key),
                               "'" + layer.values.at(*key) + "' " + why});
    }
    out.values_.emplace(spec.name, std::move(chosen));
  }
  return out;
}

const std::string& Parameters::text(std::string_view name) const {
  const auto found = values_.find(name);
  MGY_CHECK(found != values_.end());
  return found->second.value;
}

bool Parameters::flag(std::string_view name) const {
  return text(name) == "true";
}

std::int64_t Parameters::integer(std::string_view name) const {
  return number<std::int64_t>(text(name)).value_or(0);
}

std::uint32_t Parameters::mask(std::string_view name) const {
  return static_cast<std::uint32_t>(std::strtoul(text(name).c_str(), nullptr, 0));
}

Duration Parameters::duration(std::string_view name) const {
  const auto specs = parameterSpecs();
  const auto spec =
      std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
  MGY_CHECK(spec != specs.end());
  const double unit = spec->type == Type::Milliseconds ? 1e-3 : 1.0;
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(decimal(text(name)).value_or(0) * unit));
}

std::vector<std::string> Parameters::list(std::string_view name) const {
  return split(text(name), ',');
}

}  // namespace margay::api
