#pragma once

#include <openssl/types.h>
#include <mutex>
#include <optional>
#include <string>

#include "api/http/http_client.h"
#include "base/result.h"

namespace margay::api {

/// Puts the certificates into an OpenSSL context, and remembers why its last connection failed in
/// words that name the file to look at. Any thread.
class TlsContext {
 public:
  TlsContext(TlsOptions options, bool inUse) : options_(std::move(options)), inUse_(inUse) {}

  /// Whether every file can be read and the key belongs to the certificate.
  [[nodiscard]] Result<void> check() const;
  /// `context` must not outlive this object. What fails shows in `problem`.
  void prepare(SSL_CTX* context);
  /// Why the last handshake failed, once; none if it was no matter of certificates.
  [[nodiscard]] std::optional<std::string> takeProblem();
  /// What else may be the matter when a server cuts a connection off after the handshake, as
  /// TLS 1.3 servers do with a certificate that they refuse. Empty without TLS.
  [[nodiscard]] std::string hint() const;

 private:
  [[nodiscard]] Result<void> load(SSL_CTX* context) const;
  /// Only the first of a connection: what the server says to a file that could not be read is its
  /// consequence.
  void note(std::string problem);
  static void watch(const SSL* ssl, int where, int value);

  const TlsOptions options_;
  const bool inUse_;  // for an https URL
  std::mutex mutex_;
  std::optional<std::string> problem_;
};

}  // namespace margay::api
