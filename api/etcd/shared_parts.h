#pragma once

#include <string_view>

#include "api/codec/decoded.h"
#include "api/codec/kubernetes_pools.h"
#include "base/shared_string.h"

namespace margay::api {

struct EndpointPlace {
  SharedString name;      ///< under which it is stored
  std::string_view node;  ///< whose endpoints are kept whole; empty: all are
};
/// Makes an endpoint share with others of `pools` what they have in common (a cluster has a hundred
/// thousand of them, and few different labels, profiles and nodes), and its name with who stores
/// it. Those of other nodes lose what only their own node needs. Other values stay as they are.
void shareParts(Decoded& decoded, const EndpointPlace& place, EndpointPools& pools);

}  // namespace margay::api
