#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_decode.h"
#include "api/kubernetes/resources.h"

namespace margay::api {

/// Decodes the objects of the Kubernetes API. One thread; never throws.
class ResourceDecoder {
 public:
  /// `item` is of `resource`; items of lists need not say so. An object of
  /// crd.projectcalico.org/v1 is read as Calico does: what its annotation
  /// projectcalico.org/metadata says of name, labels and annotations is added, and a policy of the
  /// default tier without a name there loses "default." before its name.
  [[nodiscard]] Decoded decode(const KubernetesResource& resource, nlohmann::json& item);

 private:
  KubernetesDecoder kubernetes_;
};

/// Makes an object of crd.projectcalico.org/v1 one of projectcalico.org/v3.
void restoreCalicoMetadata(nlohmann::json& object);

}  // namespace margay::api
