#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/dataplane/network_namespace.h"

/// scripts/demo, which names its network namespaces and so leaves traces if it ends badly.
namespace margay::system_tests {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Runs with a /run/netns of its own, and says at the end what is in it.
constexpr auto kScript =
    "trap : INT TERM; mkdir -p /run/netns && mount --make-rprivate / && mount -t tmpfs none "
    "/run/netns || exit 99; scripts/demo \"$@\"; status=$?; for left in /run/netns/*; do "
    "[ ! -e \"$left\" ] || echo \"LEFT $left\"; done; exit $status";

class Demo : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "the demonstration makes network namespaces: run as root";
    char pattern[] = "/tmp/margay-demo-test-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  void TearDown() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  struct Ended {
    int status = 0;
    std::string output;
  };
  /// Runs `scripts/demo ARGUMENT` to its end. With `interruptAt`, Ctrl-C is pressed when that
  /// text is printed, and then ten times a second.
  Ended run(const std::string& argument, const std::string& interruptAt = {}) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const int pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      dup2(ends[1], 1);
      dup2(ends[1], 2);
      setenv("TMPDIR", directory_.c_str(), 1);
      setenv("MARGAY_BIN", fs::path(MARGAY_NODE).parent_path().c_str(), 1);
      if (chdir(MARGAY_SOURCE_DIR) == 0) {
        execlp("unshare", "unshare", "--mount", "bash", "-c", kScript, "demo",
               argument.empty() ? nullptr : argument.c_str(), nullptr);
      }
      _exit(127);
    }
    close(ends[1]);
    Ended out;
    bool interrupted = false;
    std::array<char, 4096> buffer{};
    for (;;) {
      if (interrupted) ::kill(-pid, SIGINT);
      pollfd entry{ends[0], POLLIN, 0};
      if (poll(&entry, 1, interrupted ? 100 : -1) <= 0) continue;
      const auto got = read(ends[0], buffer.data(), buffer.size());
      if (got <= 0) break;
      out.output.append(buffer.data(), static_cast<std::size_t>(got));
      interrupted = !interruptAt.empty() && out.output.find(interruptAt) != std::string::npos;
    }
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(interrupted, !interruptAt.empty()) << "never printed: " << interruptAt;
    out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return out;
  }
  void expectNothingLeft(const Ended& ended) {
    EXPECT_THAT(ended.output, ::testing::Not(HasSubstr("LEFT")));
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(directory_)) left.push_back(entry.path());
    // Every process of the demonstration has its scratch directory in its environment.
    for (const auto& process : fs::directory_iterator("/proc")) {
      std::ifstream file(process.path() / "environ");
      const std::string environment{std::istreambuf_iterator<char>(file), {}};
      if (environment.find(directory_) != std::string::npos) left.push_back(process.path());
    }
    EXPECT_THAT(left, IsEmpty());
  }

 private:
  std::string directory_;
};

TEST_F(Demo, RunsTwiceInARow) {
  for (const auto* argument : {"", "", "l2", "l2"}) {
    const auto ended = run(argument);
    EXPECT_EQ(ended.status, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("all as expected"));
    expectNothingLeft(ended);
  }
}

TEST_F(Demo, AnInterruptLeavesNothingBehind) {
  for (const auto& [argument, text] :
       std::vector<std::pair<std::string, std::string>>{{"l2", "Two hosts"},
                                                        {"l2", "network_container.sh"},
                                                        {"l2", "Members of a group"},
                                                        {"", "margay-node on each host"},
                                                        {"", "Profiles"},
                                                        {"", "Something wipes"}}) {
    const auto ended = run(argument, text);
    EXPECT_EQ(ended.status, 130) << text << '\n' << ended.output;
    expectNothingLeft(ended);
  }
  // All checks were done, so either is right.
  const auto ended = run("l2", "cleaning up");
  EXPECT_THAT(ended.status, AnyOf(0, 130)) << ended.output;
  expectNothingLeft(ended);
}

}  // namespace
}  // namespace margay::system_tests
