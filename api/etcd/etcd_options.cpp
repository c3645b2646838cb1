#include "api/etcd/etcd_options.h"

#include <initializer_list>
#include <sstream>

namespace margay::api {
namespace {

using Environment = std::map<std::string, std::string>;

/// The first that is set.
std::string valueOf(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = environment.find(name);
    if (found != environment.end() && !found->second.empty()) return found->second;
  }
  return {};
}

bool isUrl(const std::string& text) {
  for (const std::string scheme : {"http://", "https://"}) {
    if (text.starts_with(scheme))
      return text.find_first_of(" \t") == text.npos && text.size() > scheme.size() &&
             text.find_first_of("/:", scheme.size()) != scheme.size();
  }
  return false;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos) return {};
  std::string out = text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
  while (out.back() == '/') out.pop_back();
  return out;
}

}  // namespace

Result<EtcdOptions> etcdOptions(const Environment& environment) {
  EtcdOptions out;
  std::string endpoints = valueOf(environment, {"FELIX_ETCDENDPOINTS", "ETCD_ENDPOINTS"});
  out.discoveryDomain = valueOf(environment, {"ETCD_DISCOVERY_SRV"});
  if (!out.discoveryDomain.empty() && !endpoints.empty())
    return fail(Errc::Invalid, "ETCD_DISCOVERY_SRV and ETCD_ENDPOINTS are both set: unset one");
  if (out.discoveryDomain.empty() && endpoints.empty()) endpoints = "http://127.0.0.1:2379";
  std::istringstream list(endpoints);
  for (std::string one; std::getline(list, one, ',');) {
    one = trimmed(one);
    if (one.empty()) continue;
    if (!isUrl(one))
      return fail(Errc::Invalid, "ETCD_ENDPOINTS: '" + one +
                                     "' is no URL; write http://ADDRESS:PORT or "
                                     "https://ADDRESS:PORT, with commas between them");
    out.endpoints.push_back(std::move(one));
  }
  if (out.endpoints.empty() && out.discoveryDomain.empty())
    return fail(Errc::Invalid, "ETCD_ENDPOINTS has no URL in it; for example http://10.0.0.1:2379");
  out.tls.ca.file = valueOf(environment, {"FELIX_ETCDCAFILE", "ETCD_CA_CERT_FILE"});
  out.tls.certificate.file = valueOf(environment, {"FELIX_ETCDCERTFILE", "ETCD_CERT_FILE"});
  out.tls.key.file = valueOf(environment, {"FELIX_ETCDKEYFILE", "ETCD_KEY_FILE"});
  out.tls.ca.text = valueOf(environment, {"ETCD_CA_CERT"});
  out.tls.certificate.text = valueOf(environment, {"ETCD_CERT"});
  out.tls.key.text = valueOf(environment, {"ETCD_KEY"});
  if (out.tls.certificate.empty() != out.tls.key.empty())
    return fail(Errc::Invalid, out.tls.certificate.empty()
                                   ? "ETCD_KEY_FILE is set without ETCD_CERT_FILE: set both"
                                   : "ETCD_CERT_FILE is set without ETCD_KEY_FILE: set both");
  out.username = valueOf(environment, {"ETCD_USERNAME"});
  out.password = valueOf(environment, {"ETCD_PASSWORD"});
  if (out.username.empty() != out.password.empty())
    return fail(Errc::Invalid, out.username.empty()
                                   ? "ETCD_PASSWORD is set without ETCD_USERNAME: set both"
                                   : "ETCD_USERNAME is set without ETCD_PASSWORD: set both");
  return out;
}

}  // namespace margay::api
