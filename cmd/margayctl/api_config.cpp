#include "cmd/margayctl/api_config.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/codec/document_reader.h"
#include "cmd/agent/settings.h"

namespace margay::ctl {
namespace {

using Json = nlohmann::json;

/// Fields of spec and the variables that say the same.
const std::map<std::string, std::string>& fields() {
  static const std::map<std::string, std::string> kFields = {
      {"datastoreType", "DATASTORE_TYPE"},
      {"etcdEndpoints", "ETCD_ENDPOINTS"},
      {"etcdDiscoverySrv", "ETCD_DISCOVERY_SRV"},
      {"etcdUsername", "ETCD_USERNAME"},
      {"etcdPassword", "ETCD_PASSWORD"},
      {"etcdKeyFile", "ETCD_KEY_FILE"},
      {"etcdCertFile", "ETCD_CERT_FILE"},
      {"etcdCACertFile", "ETCD_CA_CERT_FILE"},
      {"etcdKey", "ETCD_KEY"},
      {"etcdCert", "ETCD_CERT"},
      {"etcdCACert", "ETCD_CA_CERT"},
      {"kubeconfig", "KUBECONFIG"},
      {"kubeconfigInline", "KUBECONFIG_INLINE"},
      {"k8sAPIEndpoint", "K8S_API_ENDPOINT"},
      {"k8sKeyFile", "K8S_KEY_FILE"},
      {"k8sCertFile", "K8S_CERT_FILE"},
      {"k8sCAFile", "K8S_CA_FILE"},
      {"k8sAPIToken", "K8S_API_TOKEN"},
      {"k8sInsecureSkipTLSVerify", "K8S_INSECURE_SKIP_TLS_VERIFY"},
      {"k8sCurrentContext", "K8S_CURRENT_CONTEXT"},
      {"k8sClientQPS", "K8S_CLIENT_QPS"},
      {"k8sDisableNodePoll", "K8S_DISABLE_NODE_POLL"},
      {"usePodCIDR", "USE_POD_CIDR"},
      {"calicoAPIGroup", "CALICO_API_GROUP"},
  };
  return kFields;
}

Result<Json> onlyDocument(const std::string& text) {
  std::vector<Json> documents;
  const auto problem = api::readDocuments(text, {}, [&](const api::DocumentPlace&, Json& document) {
    documents.push_back(std::move(document));
  });
  if (problem) return fail(Errc::Invalid, problem->str());
  if (documents.size() != 1 || !documents.front().is_object())
    return fail(Errc::Invalid, "must be one CalicoAPIConfig");
  return std::move(documents.front());
}

bool says(const Json& document, const char* field, const char* text) {
  return document.contains(field) && document[field] == text;
}

Variables variablesOfEnvironment() {
  auto out = agent::processEnvironment();
  for (const auto& [field, variable] : fields()) {
    const auto found = out.find("CALICO_" + variable);
    if (found != out.end() && !found->second.empty()) out[variable] = found->second;
  }
  return out;
}

/// As kubectl finds it.
void findKubeconfig(Variables& variables) {
  for (const char* named :
       {"KUBECONFIG", "KUBECONFIG_INLINE", "K8S_API_ENDPOINT", "KUBERNETES_SERVICE_HOST"}) {
    const auto found = variables.find(named);
    if (found != variables.end() && !found->second.empty()) return;
  }
  const auto variablesOfUser = agent::processEnvironment();
  const auto home = variablesOfUser.find("HOME");
  if (home == variablesOfUser.end()) return;
  const auto file = home->second + "/.kube/config";
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) variables["KUBECONFIG"] = file;
}

}  // namespace

Result<Variables> variablesOfConfig(const std::string& text) {
  const auto document = onlyDocument(text);
  if (!document) return Fail(document.error());
  if (!says(*document, "apiVersion", "projectcalico.org/v3"))
    return fail(Errc::Invalid, "apiVersion must be projectcalico.org/v3");
  if (!says(*document, "kind", "CalicoAPIConfig"))
    return fail(Errc::Invalid, "kind must be CalicoAPIConfig");
  const Json spec = document->value("spec", Json::object());
  if (!spec.is_object()) return fail(Errc::Invalid, "spec must be an object");
  Variables out;
  for (const auto& [field, value] : spec.items()) {
    const auto variable = fields().find(field);
    if (variable == fields().end())
      return fail(Errc::Invalid, "spec." + field + " is not known: take it out");
    if (value.is_null()) continue;
    if (value.is_structured()) return fail(Errc::Invalid, "spec." + field + " must be a text");
    out[variable->second] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  if (out["DATASTORE_TYPE"].empty()) {
    const bool etcd = out.contains("ETCD_ENDPOINTS") || out.contains("ETCD_DISCOVERY_SRV");
    out["DATASTORE_TYPE"] = etcd ? "etcdv3" : "kubernetes";
  }
  return out;
}

Result<Variables> datastoreVariables(const std::string& file, const std::string& context) {
  Variables out;
  std::error_code ignored;
  if (file == kDefaultConfigFile && !std::filesystem::exists(file, ignored)) {
    out = variablesOfEnvironment();
  } else {
    std::ifstream in(file);
    if (!in) return fail(Errc::NotFound, "cannot read " + file + ": does it exist?");
    const std::string text(std::istreambuf_iterator<char>(in), {});
    auto said = variablesOfConfig(text);
    if (!said) return fail(Errc::Invalid, file + ": " + said.error().what);
    out = std::move(*said);
    // What a pod is told about its cluster is told it alone.
    for (auto& [variable, value] : agent::processEnvironment()) {
      if (variable.starts_with("KUBERNETES_SERVICE_")) out.emplace(variable, value);
    }
  }
  findKubeconfig(out);
  if (!context.empty()) out["K8S_CURRENT_CONTEXT"] = context;
  return out;
}

}  // namespace margay::ctl
