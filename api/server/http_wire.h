#pragma once

#include <chrono>
#include <string>

#include "api/server/http.h"

/// Requests and responses over a connected stream socket.
namespace margay::api {

using Deadline = std::chrono::steady_clock::time_point;

/// Reads one whole message of at most 16 MiB.
Result<HttpRequest> receiveRequest(int fd, Deadline deadline);
Result<HttpResponse> receiveResponse(int fd, Deadline deadline);
Result<void> sendAll(int fd, std::string_view data, Deadline deadline);
[[nodiscard]] std::string requestText(const HttpRequest& request);
[[nodiscard]] std::string responseText(const HttpResponse& response);

}  // namespace margay::api
