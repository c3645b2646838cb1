#pragma once

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_pools.h"

namespace margay::api {

/// Makes an endpoint share with others of `pools` what they have in common (a cluster has a hundred
/// thousand of them, and few different labels, profiles and nodes). Other values stay as they are.
void shareParts(Decoded& decoded, EndpointPools& pools);

}  // namespace margay::api
