#include "api/kubernetes/credentials.h"

#include <fstream>
#include <utility>

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

}  // namespace

Result<ExecCredential> ExecCredentials::get(Token use, const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  const bool good = last_ && !last_->hasExpired(std::chrono::system_clock::now());
  if (use == Token::Kept && good) return *last_;
  last_.reset();
  auto run = runCredentialProgram(command_, stop);
  if (run) last_ = *run;
  return run;
}

TokenProvider tokenProvider(const KubernetesAccess& access, std::shared_ptr<ExecCredentials> exec) {
  if (exec) {
    return [exec = std::move(exec)](Token use, const std::stop_token& stop) -> Result<std::string> {
      const auto credential = exec->get(use, stop);
      if (!credential) return Fail(credential.error());
      return credential->token.empty() ? std::string() : "Bearer " + credential->token;
    };
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
