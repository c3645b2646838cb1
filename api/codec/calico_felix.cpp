#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "api/codec/calico_felix_checks.h"
#include "api/codec/calico_kinds.h"
#include "api/model/config.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kAnnotationPrefix = "config.projectcalico.org/";

std::string lowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

/// A string as it is, everything else as JSON writes it; bytes that are no UTF-8 are replaced.
std::string scalarText(const Json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  return text != nullptr ? *text : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string textOr(const Json& object, const char* key, std::string fallback) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? std::move(fallback) : scalarText(*found);
}

/// "tcp:22", "udp:10.0.0.0/8:53", "tcp:[fd00::/8]:22".
std::string protoPortText(const Json& entry) {
  std::string text = lowerCase(textOr(entry, "protocol", "TCP")) + ":";
  const std::string net = textOr(entry, "net", "");
  if (!net.empty()) text += (net.find(':') == std::string::npos ? net : "[" + net + "]") + ":";
  return text + textOr(entry, "port", "");
}

/// The shapes that objects in lists have: ranges, protocol with port, name with time-out.
std::string objectText(const Json& entry) {
  if (entry.contains("min")) return textOr(entry, "min", "") + "-" + textOr(entry, "max", "");
  if (entry.contains("port")) return protoPortText(entry);
  if (entry.contains("timeout"))
    return textOr(entry, "name", "") + "=" + textOr(entry, "timeout", "");
  std::string text;
  for (const auto& [key, value] : entry.items()) text += key + "=" + scalarText(value) + ",";
  return text;
}

std::string valueText(const Json& value) {
  if (value.is_object()) return objectText(value);
  if (!value.is_array()) return scalarText(value);
  std::string text;
  for (const Json& entry : value) {
    if (!text.empty()) text += ',';
    text += entry.is_object() ? objectText(entry) : scalarText(entry);
  }
  return text;
}

/// An empty list of failsafe ports means none, an absent one means the default.
bool isFailsafeList(std::string_view key) {
  return key == "failsafeInboundHostPorts" || key == "failsafeOutboundHostPorts";
}

}  // namespace

std::optional<Value> decodeFelixConfiguration(const CalicoObject& object) {
  checkFelixConfiguration(object.spec);
  FelixConfiguration configuration;
  configuration.name = object.name;
  for (const std::string& key : object.spec.keys()) {
    std::string text = valueText(*object.spec.raw(key));
    if (text.empty() && isFailsafeList(key)) text = "none";
    if (!text.empty()) configuration.parameters[lowerCase(key)] = std::move(text);
  }
  for (const auto& [key, value] : object.metadata.stringMap("annotations")) {
    if (!key.starts_with(kAnnotationPrefix)) continue;
    configuration.parameters[lowerCase(std::string_view(key).substr(kAnnotationPrefix.size()))] =
        value;
  }
  return share(std::move(configuration));
}

}  // namespace margay::api
