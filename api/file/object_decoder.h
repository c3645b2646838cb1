#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_decode.h"

namespace margay::api {

/// Decodes documents of every kind that users write: Calico's and Kubernetes'. One thread; never
/// throws.
class ObjectDecoder {
 public:
  [[nodiscard]] Decoded decode(const nlohmann::json& document);

 private:
  Decoded decodeByVersion(const nlohmann::json& document);
  KubernetesDecoder kubernetes_;
};

}  // namespace margay::api
