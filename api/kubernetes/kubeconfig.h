#pragma once

#include <string>

#include "api/kubernetes/access.h"
#include "base/result.h"

namespace margay::api {

/// What the current context of a kubeconfig says. `paths`: files with ':' between them; of two
/// clusters, users or contexts with one name the first counts, as in kubectl, and files that do not
/// exist are passed over as long as one does. File names in it are relative to it. Fields that
/// would change whom we talk to or as whom, and that we do not follow (proxy-url, tls-server-name,
/// as, auth-provider, username, insecure-skip-tls-verify), are errors. Any thread.
[[nodiscard]] Result<KubernetesAccess> kubeconfigAccess(const std::string& paths);

}  // namespace margay::api
