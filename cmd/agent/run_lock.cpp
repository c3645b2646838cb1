#include "cmd/agent/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

namespace margay::agent {
namespace {

/// "PID WHAT", as its holder wrote it.
Error heldBy(const std::string& path, const std::string& runDir) {
  std::ifstream file(path);
  std::string pid;
  std::string what;
  file >> pid;
  std::getline(file >> std::ws, what);
  if (pid.empty()) pid = "?";
  if (what.empty()) what = "margay-node";
  return {Errc::Invalid, 0,
          "process " + pid + " (" + what + ") is at work with MARGAY_RUN_DIR=" + runDir +
              ": stop it first ('kill " + pid +
              "' leaves the kernel as it is); '--once --dry-run' may run beside it"};
}

}  // namespace

Result<RunLock> RunLock::take(const std::string& runDir, const std::string& what) {
  const auto path = runDir + "/margay.lock";
  RunLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0) {
    return Fail(withContext(systemError(errno, path),
                            "set MARGAY_RUN_DIR to a directory that can be written"));
  }
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Fail(heldBy(path, runDir));
    return Fail(systemError(errno, path));
  }
  const auto text = std::to_string(::getpid()) + ' ' + what + '\n';
  if (::ftruncate(lock.fd_, 0) != 0 ||
      ::pwrite(lock.fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return Fail(systemError(errno, path));
  return lock;
}

RunLock::~RunLock() {
  if (fd_ >= 0) ::close(fd_);
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

}  // namespace margay::agent
