#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/address.h"
#include "tests/dataplane/network_namespace.h"
#include "tests/system/sockets.h"

/// Real packets between namespaces. A probe that must get through may take kPatience; one that must
/// not gets kNoAnswer to be answered.
namespace margay::system_tests {

using testing::NetworkNamespace;

inline constexpr std::chrono::milliseconds kPatience{8000};
inline constexpr std::chrono::milliseconds kNoAnswer{250};

/// Answers TCP connections and UDP datagrams on all addresses of a namespace, until its end: a
/// connection gets every byte back, a datagram is sent back.
class EchoServer {
 public:
  EchoServer(const NetworkNamespace& where, std::uint16_t port);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  /// Source address of the last TCP connection or datagram.
  [[nodiscard]] std::string lastPeer() const;
  /// How many TCP connections and datagrams there were.
  [[nodiscard]] std::uint64_t received() const;

 private:
  void run();
  int tcp_ = -1;
  int udp_ = -1;
  int stop_ = -1;
  mutable std::mutex mutex_;
  std::string lastPeer_;
  std::uint64_t received_ = 0;
  std::thread thread_;
};

/// A TCP connection was made and one byte came back.
bool tcpReaches(const From& from, const Address& to, std::uint16_t port,
                std::chrono::milliseconds patience);
/// A datagram came back. Sent again each 200 ms until `patience` is over.
bool udpReaches(const From& from, const Address& to, std::uint16_t port,
                std::chrono::milliseconds patience);
/// An echo request was answered. Sent again each 200 ms.
bool pingReaches(const From& from, const Address& to, std::chrono::milliseconds patience);

/// An open TCP connection that can be asked whether it still works.
class Flow {
 public:
  Flow(const From& from, const Address& to, std::uint16_t port);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  /// Sends a byte and waits for it to come back.
  bool echoes(std::chrono::milliseconds patience);

 private:
  int fd_ = -1;
};

}  // namespace margay::system_tests
