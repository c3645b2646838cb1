#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/http/http_client.h"
#include "base/result.h"

namespace margay::api {

/// A program that prints credentials, as a kubeconfig's `exec` names it.
struct ExecCommand {
  std::string command;  ///< looked up in PATH unless it has a slash
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  std::string apiVersion;   ///< "client.authentication.k8s.io/v1"
  std::string clusterInfo;  ///< JSON for spec.cluster; empty unless it is asked for
  std::string hint;         ///< how to install it
};

/// Where the Kubernetes API is and who asks there.
struct KubernetesAccess {
  std::string url;
  TlsOptions tls;
  std::string token;      ///< fixed
  std::string tokenFile;  ///< read again for every call, so that a rotated token is taken
  std::optional<ExecCommand> exec;
  std::string user;  ///< for messages: "user 'admin' of /etc/kubeconfig"
};

/// The access that the environment names: KUBECONFIG_INLINE (YAML) and KUBECONFIG (several files
/// with ':' between them, the first that says a thing wins) with the context K8S_CURRENT_CONTEXT or
/// their own, else the service account of the pod (KUBERNETES_SERVICE_HOST and _PORT, and the files
/// below `accountDirectory`). K8S_API_ENDPOINT, K8S_CA_FILE, K8S_CERT_FILE, K8S_KEY_FILE and
/// K8S_API_TOKEN go before what those say, and are enough without them. Errors are `Errc::Invalid`
/// in one line that names the file and the field. Certificates are not read yet. Any thread.
[[nodiscard]] Result<KubernetesAccess> kubernetesAccess(
    const std::map<std::string, std::string>& environment,
    const std::string& accountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace margay::api
