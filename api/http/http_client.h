#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"

/// The one way to the HTTP servers of the datastores. Errors: `Errc::Transient` where trying again
/// may help (nobody answers, cut off, too slow), `Errc::Interrupted` when the caller's stop_token
/// asked to end, `Errc::Invalid` where a person must act (a certificate, a URL). An answer with a
/// status of 400 or more is an answer, not an error.
namespace margay::api {

/// A certificate or key: a file, which is read again for every connection, or its PEM text.
struct Pem {
  std::string file;
  std::string text;
  [[nodiscard]] bool empty() const { return file.empty() && text.empty(); }
  [[nodiscard]] const std::string& name() const { return file.empty() ? kInline : file; }
  static inline const std::string kInline = "given as text";
};

struct TlsOptions {
  Pem ca;  ///< none: the system's
  Pem certificate;
  Pem key;
  bool verify = true;
};

enum class Token : std::uint8_t {
  Kept,    ///< the one in use, if there is one
  Renewed  ///< the server has refused the one in use
};
/// The value of the Authorization header ("Bearer ..."), empty for none. Any thread; may block.
using TokenProvider = std::function<Result<std::string>(Token, const std::stop_token&)>;

struct HttpClientOptions {
  std::string url;  ///< "https://10.0.0.1:2379"; a path in it goes before every call's
  TlsOptions tls;
  TokenProvider token;
  std::size_t bufferBytes =
      1U << 20U;  ///< of a body that nobody reads; then the connection is not read either
};

enum class Authorize : std::uint8_t { Yes, No };

struct HttpCall {
  std::string method = "GET";
  std::string path;  ///< with the query, percent-encoded
  std::map<std::string, std::string> headers;
  std::string body;
  std::string contentType = "application/json";
  Authorize authorize = Authorize::Yes;
  std::chrono::milliseconds headTimeout{10'000};  ///< to connect, send and get the answer's head
};

/// An answer whose body is still arriving. One thread. The destructor ends the transfer at once.
class HttpBody {
 public:
  enum class Read : std::uint8_t {
    Data,
    End,   ///< the whole body has been read
    Idle,  ///< nothing came in time; read again or give up
  };
  virtual ~HttpBody() = default;
  [[nodiscard]] virtual int status() const = 0;
  /// Names in lower case.
  [[nodiscard]] virtual const std::map<std::string, std::string>& headers() const = 0;
  /// Waits for the next piece and puts it into `piece` (its old content goes).
  virtual Result<Read> read(std::string& piece, std::chrono::milliseconds timeout,
                            const std::stop_token& stop) = 0;
};

/// One server. Connections are kept and used again. Any thread, several calls at once.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Sends the call and waits for the head of the answer. A 401 renews the token and tries once
  /// more.
  virtual Result<std::unique_ptr<HttpBody>> open(const HttpCall& call,
                                                 const std::stop_token& stop) = 0;
};

struct HttpReply {
  int status = 0;
  std::string body;
};

/// The call with its whole body; each wait for a piece of it takes `idle` at most. An error of more
/// than `maxBytes`.
Result<HttpReply> fetch(HttpClient& client, const HttpCall& call, const std::stop_token& stop,
                        std::chrono::milliseconds idle = std::chrono::seconds(10),
                        std::size_t maxBytes = 64U << 20U);

/// A client over cpprestsdk, which gets two threads for all clients of the process. Reads the TLS
/// files once to say which one cannot be used.
Result<std::unique_ptr<HttpClient>> makeHttpClient(HttpClientOptions options);

}  // namespace margay::api
