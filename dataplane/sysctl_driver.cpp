#include "dataplane/sysctl_driver.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "dataplane/netlink_socket.h"
#include "dataplane/sysctl_listing.h"

namespace margay::dataplane {
namespace {

/// A file descriptor that closes itself.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

bool isSafe(std::string_view path) {
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto component = path.substr(0, slash);
    if (component.empty() || component == "." || component == "..") return false;
    if (component.find('\0') != std::string_view::npos) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

class KernelSysctlDriver final : public SysctlDriver {
 public:
  KernelSysctlDriver(File root, std::optional<NetlinkSocket> links)
      : root_(std::move(root)), links_(std::move(links)) {}

  Result<SysctlMap> list() override {
    return links_ ? listInterfaceSettings(*links_) : Result<SysctlMap>(SysctlMap{});
  }

  Result<std::string> read(const std::string& path) override {
    const std::string context = "read sysctl " + path;
    auto file = open(path, O_RDONLY, context);
    if (!file) return Fail(file.error());
    // One read: the kernel gives a value in one piece, and those of our kind are short.
    std::array<char, 4096> buffer;  // NOLINT: read() fills what is looked at
    ssize_t got = 0;
    do {
      got = ::read(file->get(), buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return Fail(systemError(errno, context));
    return std::string(trimmed({buffer.data(), static_cast<std::size_t>(got)}));
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    const std::string context = "write sysctl " + path + " = " + value;
    auto file = open(path, O_WRONLY, context);
    if (!file) return Fail(file.error());
    // One write: the kernel parses what comes at offset 0 and ignores the rest.
    ssize_t written = 0;
    do {
      written = ::write(file->get(), value.data(), value.size());
    } while (written < 0 && errno == EINTR);
    if (written < 0) return Fail(systemError(errno, context));
    if (static_cast<std::size_t>(written) != value.size()) {
      return fail(Errc::Invalid, context + ": only a part was taken");
    }
    return {};
  }

 private:
  [[nodiscard]] Result<File> open(const std::string& path, int mode,
                                  const std::string& context) const {
    if (!isSafe(path)) return fail(Errc::Invalid, context + ": not a path below /proc/sys");
    File file(::openat(root_.get(), path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() < 0) return Fail(systemError(errno, context));
    return file;
  }

  File root_;
  std::optional<NetlinkSocket> links_;
};

/// Of the kernel, wherever it is mounted; not a directory that looks like it.
bool isProc(const File& directory) {
  struct statfs status {};
  return ::fstatfs(directory.get(), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

}  // namespace

Result<std::unique_ptr<SysctlDriver>> makeSysctlDriver() {
  return makeSysctlDriverAt("/proc/sys");
}

Result<std::unique_ptr<SysctlDriver>> makeSysctlDriverAt(const std::string& root) {
  File directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return Fail(systemError(errno, "open " + root));
  // What is below net/ is that of the thread's network namespace, as a netlink socket's answers
  // are.
  const File net(::openat(directory.get(), "net", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::optional<NetlinkSocket> links;
  if (isProc(net)) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return Fail(socket.error());
    links = std::move(*socket);
  }
  return std::make_unique<KernelSysctlDriver>(std::move(directory), std::move(links));
}

}  // namespace margay::dataplane
