#pragma once

#include <netinet/in.h>

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace margay::api {

/// URLs of etcd's members by DNS, as etcd's own clients find them: the SRV records of
/// _etcd-client-ssl._tcp.DOMAIN (https) and _etcd-client._tcp.DOMAIN (http), by priority and then
/// weight. Asks `server`, or those of /etc/resolv.conf, and gives up after about 2 s each. `stop`
/// is looked at after every second of a server. `Errc::NotFound`: there are no such records;
/// `Errc::Transient`: nobody answers; `Errc::Interrupted`. Any thread.
Result<std::vector<std::string>> discoverEtcd(const std::string& domain,
                                              const std::stop_token& stop = {},
                                              const std::optional<sockaddr_in>& server = {});

}  // namespace margay::api
