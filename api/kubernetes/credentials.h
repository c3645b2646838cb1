#pragma once

#include "api/http/http_client.h"
#include "api/kubernetes/access.h"

namespace margay::api {

/// The Authorization header of an access: its token, the content of its token file as it is now, or
/// what its program prints, which is asked again when that has expired or is refused. Empty for an
/// access by certificate alone. Any thread; a program may take as long as 30 s.
[[nodiscard]] TokenProvider tokenProvider(const KubernetesAccess& access);

}  // namespace margay::api
