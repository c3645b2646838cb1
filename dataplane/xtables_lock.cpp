#include "dataplane/xtables_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace margay::dataplane::xtables {

Result<Lock> Lock::acquire(const std::string& path, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Fail(systemError(errno, "open the lock of iptables, " + path));
  Lock lock(fd);
  const auto deadline = Clock::now() + timeout;
  std::chrono::milliseconds pause{1};
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return Fail(systemError(errno, "take the lock of iptables, " + path));
    if (Clock::now() >= deadline) {
      return fail(Errc::Transient,
                  "another program has held the lock of iptables, " + path + ", for " +
                      std::to_string(timeout.count()) + " ms (`fuser -v " + path + "` names it)",
                  EWOULDBLOCK);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds{20});
  }
  return lock;
}

Lock::Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Lock& Lock::operator=(Lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Lock::~Lock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace margay::dataplane::xtables
