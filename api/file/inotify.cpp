#include "api/file/inotify.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace margay::api {

Inotify::Inotify() : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

Inotify::~Inotify() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Inotify::watch(const std::string& path, const std::string& name, std::uint32_t mask) {
  const int id = ::inotify_add_watch(fd_, path.c_str(), mask);
  if (id < 0) {
    const Errc code = errno == ENOENT ? Errc::NotFound : Errc::Transient;
    return fail(code, "watch " + path + ": " + std::strerror(errno), errno);
  }
  names_[id] = name;
  return {};
}

std::vector<Inotify::Event> Inotify::drain() {
  std::vector<Event> events;
  alignas(inotify_event) std::array<char, std::size_t{64} << 10U> buffer{};
  while (true) {
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return events;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      const auto known = names_.find(event.wd);
      events.push_back({known == names_.end() ? std::string() : known->second,
                        event.len > 0 ? std::string(name) : std::string(), event.mask});
      if ((event.mask & IN_IGNORED) != 0 && known != names_.end()) names_.erase(known);
      at += static_cast<ssize_t>(sizeof event) + static_cast<ssize_t>(event.len);
    }
  }
}

}  // namespace margay::api
