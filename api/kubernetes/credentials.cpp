#include "api/kubernetes/credentials.h"

#include <fstream>
#include <memory>
#include <mutex>
#include <utility>

#include "api/kubernetes/exec_credential.h"

namespace margay::api {
namespace {

Result<std::string> tokenIn(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  if (!file || !(file >> token))
    return fail(Errc::Invalid, "cannot read a token from " + path +
                                   ": does the file exist, and may this user read it?");
  return "Bearer " + token;
}

/// What a program gave last.
class ExecTokens {
 public:
  explicit ExecTokens(ExecCommand command) : command_(std::move(command)) {}

  Result<std::string> get(Token use, const std::stop_token& stop) {
    const std::lock_guard lock(mutex_);
    if (use == Token::Renewed || !last_ || last_->hasExpired(std::chrono::system_clock::now())) {
      last_.reset();
      auto run = runCredentialProgram(command_, stop);
      if (!run) return Fail(run.error());
      last_ = std::move(*run);
    }
    return last_->token.empty() ? std::string() : "Bearer " + last_->token;
  }

 private:
  const ExecCommand command_;
  std::mutex mutex_;
  std::optional<ExecCredential> last_;
};

}  // namespace

TokenProvider tokenProvider(const KubernetesAccess& access) {
  if (access.exec) {
    return [tokens = std::make_shared<ExecTokens>(*access.exec)](
               Token use, const std::stop_token& stop) { return tokens->get(use, stop); };
  }
  if (!access.tokenFile.empty()) {
    return [file = access.tokenFile](Token, const std::stop_token&) { return tokenIn(file); };
  }
  if (access.token.empty()) return {};
  return [header = "Bearer " + access.token](Token, const std::stop_token&) {
    return Result<std::string>(header);
  };
}

}  // namespace margay::api
