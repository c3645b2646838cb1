#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/base/eventually.h"

namespace margay::testing {

/// A program in the background that never outlives the test. It starts in the network namespace of
/// the thread that makes it; its standard output and error go to `log`.
class ChildProcess {
 public:
  ChildProcess() = default;
  /// `words[0]` is the program's path. It ends at once with 127 if there is none.
  ChildProcess(const std::vector<std::string>& words, const std::string& log) {
    auto copies = words;
    std::vector<char*> arguments;
    for (auto& word : copies) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int in = ::open("/dev/null", O_RDONLY);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(in, 0);
    for (const int fd : {1, 2}) ::dup2(out, fd);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~ChildProcess() { end(SIGKILL); }

  [[nodiscard]] bool started() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Sends a signal; nothing to a process that was not started.
  void send(int signal) const {
    if (started()) ::kill(pid_, signal);
  }
  /// Sends a signal and waits for the end.
  void end(int signal) {
    if (!started()) return;
    send(signal);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  /// The same, and kills what has not ended within `patience`.
  void end(int signal, std::chrono::milliseconds patience) {
    if (!started()) return;
    send(signal);
    if (eventually([this] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; }, patience))
      pid_ = -1;
    end(SIGKILL);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace margay::testing
