#pragma once

#include <string>

#include "api/kubernetes/access.h"
#include "base/result.h"

namespace margay::api {

struct KubeconfigRequest {
  std::string paths;    ///< files with ':' between them
  std::string content;  ///< YAML; goes before all files
  std::string context;  ///< empty: the current one
};

/// What a context of a kubeconfig says. Of two clusters, users or contexts with one name the first
/// counts, as in kubectl, and files that do not exist are passed over as long as one does. File
/// names in it are relative to it. Fields that would change whom we talk to or as whom, and that we
/// do not follow (proxy-url, tls-server-name, as, auth-provider, username,
/// insecure-skip-tls-verify), are errors. Any thread.
[[nodiscard]] Result<KubernetesAccess> kubeconfigAccess(const KubeconfigRequest& request);

}  // namespace margay::api
