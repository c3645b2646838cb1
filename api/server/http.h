#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"

/// HTTP/1.1 for the agent's own small interfaces: the control socket and health. One request a
/// connection.
namespace margay::api {

struct HttpRequest {
  std::string method;                        ///< "GET"
  std::string path;                          ///< "/v1/status", without the query
  std::map<std::string, std::string> query;  ///< decoded
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string contentType = "application/json";
  std::string body;
};

/// Called on a thread of the server, several at once. Exceptions end in a 500.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

/// Accepts on a thread of its own and answers each connection on another one (at most 32 at once,
/// the next ones wait in the backlog). The destructor stops it within a second, unless a handler
/// does not return.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  /// Mode 0600; takes the place of a socket that nobody answers on. `Errc::Invalid` if another
  /// process answers there.
  static Result<std::unique_ptr<HttpServer>> onUnix(const std::string& path, HttpHandler handler);
  /// `host`: an address, "localhost", or empty for all addresses. Port 0: any.
  static Result<std::unique_ptr<HttpServer>> onTcp(const std::string& host, std::uint16_t port,
                                                   HttpHandler handler);
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

/// One request to a Unix socket, for the CLI. Blocks at most `timeout`.
Result<HttpResponse> unixRequest(const std::string& socketPath, const HttpRequest& request,
                                 std::chrono::milliseconds timeout);

/// "a b" -> "a%20b"
[[nodiscard]] std::string percentEncode(std::string_view text);
[[nodiscard]] std::string percentDecode(std::string_view text);

}  // namespace margay::api
