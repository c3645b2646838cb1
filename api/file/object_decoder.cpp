#include "api/file/object_decoder.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"

namespace margay::api {

Decoded ObjectDecoder::decode(const nlohmann::json& document) {
  const auto version = document.is_object() ? document.find("apiVersion") : document.end();
  if (document.is_object() && version != document.end() && version->is_string() &&
      isCalicoApiVersion(version->get_ref<const std::string&>())) {
    return decodeCalico(document);
  }
  return kubernetes_.decode(document);
}

}  // namespace margay::api
