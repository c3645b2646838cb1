#pragma once

#include <netinet/in.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/http/http_client.h"
#include "base/result.h"

namespace margay::api {

struct EtcdOptions {
  std::vector<std::string> endpoints;  ///< URLs, at least one, or
  std::string discoveryDomain;         ///< DNS knows them (see `discoverEtcd`)
  std::optional<sockaddr_in> dns;      ///< to ask instead of those of /etc/resolv.conf
  TlsOptions tls;
  std::string username;
  std::string password;
  std::chrono::milliseconds callTimeout{4'000};  ///< until an endpoint that says nothing is left
};

/// From ETCD_ENDPOINTS, ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE (or ETCD_CA_CERT,
/// ETCD_CERT, ETCD_KEY with the PEM text), ETCD_USERNAME and ETCD_PASSWORD, and
/// FELIX_ETCDENDPOINTS, FELIX_ETCDCAFILE, FELIX_ETCDCERTFILE, FELIX_ETCDKEYFILE before them.
/// ETCD_DISCOVERY_SRV is the domain to ask DNS for, instead of endpoints.
/// `Errc::Invalid` with one line that names the variable.
Result<EtcdOptions> etcdOptions(const std::map<std::string, std::string>& environment);

}  // namespace margay::api
