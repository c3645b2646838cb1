#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/result.h"

/// What tests on the real kernel stand on: network namespaces of their own, so that no test ever
/// sees or changes the machine's tables.
namespace margay::testing {

/// A new network namespace with `lo` up. It lives until the last of: this object, a thread in it.
class NetworkNamespace {
 public:
  /// `Errc::Unsupported` without the right to make one.
  static Result<NetworkNamespace> create();
  NetworkNamespace(NetworkNamespace&& other) noexcept;
  NetworkNamespace& operator=(NetworkNamespace&& other) noexcept;
  ~NetworkNamespace();

  /// Puts the calling thread into the namespace, and back where it was at the end of its life.
  /// Guards nest.
  class Entered {
   public:
    Entered(Entered&& other) noexcept;
    Entered& operator=(Entered&&) = delete;
    ~Entered();

   private:
    explicit Entered(int previous) : previous_(previous) {}
    int previous_;
    friend class NetworkNamespace;
  };
  [[nodiscard]] Entered enter() const;

  [[nodiscard]] int fd() const { return fd_; }
  /// "/proc/PID/fd/N": for everything that takes a namespace by path, also in other processes.
  [[nodiscard]] std::string path() const;

 private:
  explicit NetworkNamespace(int fd) : fd_(fd) {}
  int fd_;
};

/// Each test of this fixture runs with its thread in a fresh namespace, or is skipped without root.
/// Derived fixtures call `NetworkNamespaceTest::SetUp()` first and return if `IsSkipped()`.
class NetworkNamespaceTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::optional<NetworkNamespace> netns_;

 private:
  std::optional<NetworkNamespace::Entered> entered_;
};

struct ShellResult {
  int status = 0;      ///< exit code, or 128 + signal
  std::string output;  ///< stdout and stderr
};
/// Runs `command` with /bin/sh in the calling thread's namespace.
ShellResult shell(const std::string& command);
/// Standard output of `command`; fails the test if it does not exit with 0.
std::string mustShell(const std::string& command);

}  // namespace margay::testing
