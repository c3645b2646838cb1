#include "tests/dataplane/network_namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace margay::testing {
namespace {

// Of the thread, not of the process: /proc/self is the main thread's.
int openOwnNamespace() {
  return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

bool raiseLoopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  const bool raised = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return raised;
}

}  // namespace

Result<NetworkNamespace> NetworkNamespace::create() {
  const int previous = openOwnNamespace();
  if (previous < 0) return Fail(systemError(errno, "open the thread's network namespace"));
  if (::unshare(CLONE_NEWNET) != 0) {
    const int error = errno;
    ::close(previous);
    return Fail(systemError(error, "make a network namespace"));
  }
  const int made = openOwnNamespace();
  const bool raised = raiseLoopback();
  const int error = errno;
  MGY_CHECK(::setns(previous, CLONE_NEWNET) == 0);
  ::close(previous);
  if (made < 0 || !raised) {
    if (made >= 0) ::close(made);
    return Fail(systemError(error, "prepare a network namespace"));
  }
  return NetworkNamespace(made);
}

NetworkNamespace::NetworkNamespace(NetworkNamespace&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

NetworkNamespace& NetworkNamespace::operator=(NetworkNamespace&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

NetworkNamespace::~NetworkNamespace() {
  if (fd_ >= 0) ::close(fd_);
}

NetworkNamespace::Entered NetworkNamespace::enter() const {
  const int previous = openOwnNamespace();
  MGY_CHECK(previous >= 0);
  MGY_CHECK(::setns(fd_, CLONE_NEWNET) == 0);
  return Entered(previous);
}

std::string NetworkNamespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_);
}

NetworkNamespace::Entered::Entered(Entered&& other) noexcept
    : previous_(std::exchange(other.previous_, -1)) {}

NetworkNamespace::Entered::~Entered() {
  if (previous_ < 0) return;
  MGY_CHECK(::setns(previous_, CLONE_NEWNET) == 0);
  ::close(previous_);
}

void NetworkNamespaceTest::SetUp() {
  auto made = NetworkNamespace::create();
  if (!made) GTEST_SKIP() << "no network namespaces: " << made.error().what;
  netns_.emplace(std::move(*made));
  entered_.emplace(netns_->enter());
}

void NetworkNamespaceTest::TearDown() {
  entered_.reset();
  netns_.reset();
}

ShellResult shell(const std::string& command) {
  ShellResult result;
  FILE* pipe = ::popen(("exec 2>&1; " + command).c_str(), "re");
  if (pipe == nullptr) return {127, std::strerror(errno)};
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    result.output.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string mustShell(const std::string& command) {
  auto result = shell(command);
  EXPECT_EQ(result.status, 0) << command << ": " << result.output;
  return std::move(result.output);
}

}  // namespace margay::testing
