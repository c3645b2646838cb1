#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "api/http/http_client.h"
#include "api/kubernetes/access.h"
#include "api/kubernetes/exec_credential.h"

namespace margay::api {

/// What a credential program gave last; it is run again when that has expired or is refused. Any
/// thread; callers wait for each other while the program runs, 30 s at most.
class ExecCredentials {
 public:
  explicit ExecCredentials(ExecCommand command) : command_(std::move(command)) {}
  Result<ExecCredential> get(Token use, const std::stop_token& stop);

 private:
  const ExecCommand command_;
  std::mutex mutex_;
  std::optional<ExecCredential> last_;  // guarded by mutex_
};

/// The Authorization header of an access: its token, the content of its token file as it is now, or
/// that of `exec`, if that is not null. Empty for an access by certificate alone. Any thread.
[[nodiscard]] TokenProvider tokenProvider(const KubernetesAccess& access,
                                          std::shared_ptr<ExecCredentials> exec = nullptr);

}  // namespace margay::api
