#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/etcd/etcd_client.h"

namespace margay::api {

/// A watch on the answer `body` that gives what comes after `start`. `errorOf` turns an answer
/// that says an error into one.
[[nodiscard]] std::unique_ptr<EtcdWatch> makeEtcdWatch(
    std::unique_ptr<HttpBody> body, const EtcdPosition& start, std::string endpoint,
    std::function<Error(const EtcdAnswer&)> errorOf);

}  // namespace margay::api
