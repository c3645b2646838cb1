#include "dataplane/netlink_namespace.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace margay::dataplane {
namespace {

std::vector<std::string> pathsOf(std::string_view where) {
  if (where.find('/') != std::string_view::npos) return {std::string(where)};
  if (where.empty() || where == "." || where == "..") return {};
  std::vector<std::string> paths{"/var/run/netns/" + std::string(where)};
  // A name may consist of digits: scripts link a container's namespace under the number of its
  // process.
  const auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  if (std::all_of(where.begin(), where.end(), isDigit)) {
    paths.push_back("/proc/" + std::string(where) + "/ns/net");
  }
  return paths;
}

}  // namespace

Result<NamespaceHandle> NamespaceHandle::open(std::string_view where) {
  const std::string context = "open network namespace " + std::string(where);
  int error = ENOENT;
  for (const auto& path : pathsOf(where)) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
      error = errno;
      continue;
    }
    NamespaceHandle handle(fd);
    if (::ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
      return fail(Errc::Invalid, context + ": that is no network namespace");
    }
    return handle;
  }
  return Fail(systemError(error, context));
}

NamespaceHandle::NamespaceHandle(NamespaceHandle&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

NamespaceHandle& NamespaceHandle::operator=(NamespaceHandle&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

NamespaceHandle::~NamespaceHandle() {
  if (fd_ >= 0) ::close(fd_);
}

Result<bool> NamespaceHandle::isOwn() const {
  struct stat own {};
  struct stat other {};
  if (::stat("/proc/thread-self/ns/net", &own) != 0 || ::fstat(fd_, &other) != 0) {
    return Fail(systemError(errno, "compare network namespaces"));
  }
  return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

Result<void> NamespaceHandle::run(const std::function<Result<void>()>& work) const {
  Result<void> result;
  const auto body = [&] {
    if (::setns(fd_, CLONE_NEWNET) != 0) {
      result = Fail(systemError(errno, "enter a network namespace"));
      return;
    }
    result = work();
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error& error) {
    return Fail(systemError(error.code().value(), "start a thread for a network namespace"));
  }
  return result;
}

}  // namespace margay::dataplane
