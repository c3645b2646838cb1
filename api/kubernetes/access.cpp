#include "api/kubernetes/access.h"

#include <filesystem>

#include "api/kubernetes/kubeconfig.h"

namespace margay::api {
namespace {

std::string valueOf(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

Result<KubernetesAccess> inCluster(const std::string& host, const std::string& port,
                                   const std::string& directory) {
  KubernetesAccess out;
  const bool isIpv6 = host.find(':') != std::string::npos;
  out.url = "https://" + (isIpv6 ? "[" + host + "]" : host) + ":" + (port.empty() ? "443" : port);
  out.tls.ca.file = directory + "/ca.crt";
  out.tokenFile = directory + "/token";
  out.user = "the service account of " + directory;
  for (const auto& file : {out.tls.ca.file, out.tokenFile}) {
    std::error_code error;
    if (!std::filesystem::exists(file, error))
      return fail(Errc::Invalid, "KUBERNETES_SERVICE_HOST is set and " + file +
                                     " is not there: does the pod mount its service account "
                                     "(automountServiceAccountToken)?");
  }
  return out;
}

}  // namespace

Result<KubernetesAccess> kubernetesAccess(const std::map<std::string, std::string>& environment,
                                          const std::string& accountDirectory) {
  const std::string kubeconfig = valueOf(environment, "KUBECONFIG");
  if (!kubeconfig.empty()) return kubeconfigAccess(kubeconfig);
  const std::string host = valueOf(environment, "KUBERNETES_SERVICE_HOST");
  if (!host.empty())
    return inCluster(host, valueOf(environment, "KUBERNETES_SERVICE_PORT"), accountDirectory);
  return fail(Errc::Invalid,
              "neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set: set KUBECONFIG to a file, or "
              "run in a pod with a service account");
}

}  // namespace margay::api
