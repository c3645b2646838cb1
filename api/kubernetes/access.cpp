#include "api/kubernetes/access.h"

#include <filesystem>
#include <utility>

#include "api/kubernetes/kubeconfig.h"

namespace margay::api {
namespace {

using Environment = std::map<std::string, std::string>;

std::string valueOf(const Environment& environment, const char* name) {
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

Result<KubernetesAccess> accessOfFiles(const Environment& environment,
                                       const std::string& accountDirectory) {
  const KubeconfigRequest kubeconfig{.paths = valueOf(environment, "KUBECONFIG"),
                                     .content = valueOf(environment, "KUBECONFIG_INLINE"),
                                     .context = valueOf(environment, "K8S_CURRENT_CONTEXT")};
  if (!kubeconfig.paths.empty() || !kubeconfig.content.empty()) return kubeconfigAccess(kubeconfig);
  if (!kubeconfig.context.empty())
    return fail(Errc::Invalid, "K8S_CURRENT_CONTEXT (--context) is '" + kubeconfig.context +
                                   "', and there is no kubeconfig that has contexts: set "
                                   "KUBECONFIG to a file");
  const std::string host = valueOf(environment, "KUBERNETES_SERVICE_HOST");
  if (!host.empty())
    return inCluster(host, valueOf(environment, "KUBERNETES_SERVICE_PORT"), accountDirectory);
  if (!valueOf(environment, "K8S_API_ENDPOINT").empty()) return KubernetesAccess();
  return fail(Errc::Invalid,
              "neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set: set KUBECONFIG to a file, or "
              "run in a pod with a service account");
}

}  // namespace

Result<KubernetesAccess> kubernetesAccess(const Environment& environment,
                                          const std::string& accountDirectory) {
  auto access = accessOfFiles(environment, accountDirectory);
  if (!access) return access;
  if (valueOf(environment, "K8S_INSECURE_SKIP_TLS_VERIFY") == "true")
    return fail(Errc::Invalid,
                "K8S_INSECURE_SKIP_TLS_VERIFY is not supported: give K8S_CA_FILE instead");
  if (access->user.empty()) access->user = "the user of K8S_API_TOKEN or K8S_CERT_FILE";
  if (auto url = valueOf(environment, "K8S_API_ENDPOINT"); !url.empty()) {
    while (url.size() > 1 && url.back() == '/') url.pop_back();
    access->url = std::move(url);
  }
  for (const auto& [variable, pem] : {std::pair{"K8S_CA_FILE", &access->tls.ca},
                                      std::pair{"K8S_CERT_FILE", &access->tls.certificate},
                                      std::pair{"K8S_KEY_FILE", &access->tls.key}}) {
    if (auto file = valueOf(environment, variable); !file.empty())
      *pem = Pem{.file = file, .text = {}};
  }
  if (auto token = valueOf(environment, "K8S_API_TOKEN"); !token.empty()) {
    access->token = std::move(token);
    access->tokenFile.clear();
    access->exec.reset();
  }
  return access;
}

}  // namespace margay::api
