#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace margay::api {

/// URLs of etcd's members by DNS, as etcd's own clients find them: the SRV records of
/// _etcd-client-ssl._tcp.DOMAIN (https) and _etcd-client._tcp.DOMAIN (http), by priority and then
/// weight. Asks `server`, or those of /etc/resolv.conf; at most about 10 s. `Errc::NotFound`: there
/// are no such records; `Errc::Transient`: nobody answers. Any thread.
Result<std::vector<std::string>> discoverEtcd(const std::string& domain,
                                              const std::optional<sockaddr_in>& server = {});

}  // namespace margay::api
