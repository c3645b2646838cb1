#include "api/file/object_decoder.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"

namespace margay::api {
namespace {

std::string textAt(const nlohmann::json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : std::string();
}

/// What cannot be decoded is still called what its author called it.
void nameAsWritten(const nlohmann::json& document, Decoded& decoded) {
  if (decoded.kindName.empty()) decoded.kindName = textAt(document, "kind");
  if (!document.is_object() || !document.contains("metadata")) return;
  const auto& metadata = document["metadata"];
  if (decoded.name.empty()) decoded.name = textAt(metadata, "name");
  if (decoded.ns.empty() && decoded.key.kind == Kind::Unknown)
    decoded.ns = textAt(metadata, "namespace");
}

}  // namespace

Decoded ObjectDecoder::decode(const nlohmann::json& document) {
  auto decoded = decodeByVersion(document);
  if (!decoded.errors.empty()) nameAsWritten(document, decoded);
  return decoded;
}

Decoded ObjectDecoder::decodeByVersion(const nlohmann::json& document) {
  const auto version = document.is_object() ? document.find("apiVersion") : document.end();
  if (document.is_object() && version != document.end() && version->is_string() &&
      isCalicoApiVersion(version->get_ref<const std::string&>())) {
    return decodeCalico(document);
  }
  return kubernetes_.decode(document);
}

}  // namespace margay::api
