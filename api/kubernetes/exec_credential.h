#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "api/kubernetes/access.h"
#include "base/result.h"

namespace margay::api {

/// What a credential program printed (ExecCredential of client.authentication.k8s.io).
struct ExecCredential {
  std::string token;
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
  std::optional<std::chrono::sys_seconds> expires;
  [[nodiscard]] bool hasExpired(std::chrono::system_clock::time_point now) const {
    return expires && *expires <= std::chrono::floor<std::chrono::seconds>(now);
  }
};

/// Reads the program's output. `command` is for messages.
[[nodiscard]] Result<ExecCredential> parseExecCredential(const ExecCommand& command,
                                                         std::string_view output);

/// Runs the program, without a shell, and reads what it prints. `Errc::Invalid` with one line that
/// names the program when it is not there, fails (with the last line of its stderr) or prints
/// something else; `Errc::Transient` when it takes longer than 30 s. Any thread.
[[nodiscard]] Result<ExecCredential> runCredentialProgram(const ExecCommand& command,
                                                          const std::stop_token& stop);

}  // namespace margay::api
