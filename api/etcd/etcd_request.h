#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/etcd/etcd_client.h"

/// Bodies of requests to etcd's JSON gateway. Any thread.
namespace margay::api {

/// The first key behind all that start with `prefix`.
[[nodiscard]] std::string endOfPrefix(std::string prefix);

struct EtcdRange {
  std::string key;
  std::string end;            ///< empty: the key alone
  std::int64_t revision = 0;  ///< 0: the newest
  std::int64_t limit = 0;
};
[[nodiscard]] std::string rangeBody(const EtcdRange& range);
[[nodiscard]] std::string watchBody(const std::string& prefix, std::int64_t revision);
[[nodiscard]] std::string transactionBody(const std::vector<EtcdCondition>& conditions,
                                          const std::vector<EtcdWrite>& writes);
[[nodiscard]] std::string authenticateBody(const std::string& user, const std::string& password);

}  // namespace margay::api
