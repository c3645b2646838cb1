#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace margay::api {

/// An inotify queue whose watches have names. One thread.
class Inotify {
 public:
  Inotify();
  ~Inotify();
  Inotify(const Inotify&) = delete;
  Inotify& operator=(const Inotify&) = delete;

  struct Event {
    std::string watch;  ///< as given to `watch`; empty for an overflow
    std::string
        name;  ///< of the entry in the watched directory; empty for the watched place itself
    std::uint32_t mask = 0;
  };

  /// Watches a path under a name; again is fine. The error is Transient when the user's watches are
  /// used up.
  [[nodiscard]] Result<void> watch(const std::string& path, const std::string& name,
                                   std::uint32_t mask);
  /// Everything that is queued, without waiting.
  [[nodiscard]] std::vector<Event> drain();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::map<int, std::string> names_;
};

}  // namespace margay::api
